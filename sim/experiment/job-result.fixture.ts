/** A small plan and results of jobs made by hand, for tests that simulate nothing. */
import { engineConfig } from '../engine/worker-fixtures.ts';
import { emptySources } from '../measure/token-sources.ts';
import type { JobResult } from './job-result.ts';
import type { RunPlan } from './run-plan.ts';

/** Plan of arms a, b, … with the first as baseline. Only what conducting and reducing read is filled. */
export function handPlan(arms: readonly string[], exprs: readonly string[] = ['session.activeTime.mean']): RunPlan {
  return {
    key: 'k'.repeat(64),
    name: 'by-hand',
    firstReplication: 0,
    seed: 42,
    workload: {
      pauses: 'debiased',
      sharing: 'tools',
      resample: 'bootstrap',
      arrivals: { mode: 'open' },
      overlong: 'truncate',
      gapCapMs: 0,
    },
    arms: arms.map((name) => ({
      name,
      router: { use: 'round-robin@1', with: {} },
      retention: { use: 'lru@1', with: {} },
      pools: [
        {
          name: 'main',
          gpu: 'h100-sxm@1',
          workers: 3,
          gpusPerWorker: 8,
          cell: 'c',
          cellLevel: 'derived',
          config: engineConfig(),
          hbmTokens: 1,
          hostTokens: 0,
          hbmFrom: 'formula',
          usdPerGpuHour: 2,
        },
      ],
    })),
    baseline: arms[0],
    kind: 'terminating',
    horizonMs: null,
    warmupMs: 0,
    drain: true,
    checks: 'cheap',
    slos: [],
    exprs,
    primary: exprs[0],
    record: [],
  } as unknown as RunPlan;
}

/** Result of one job; every replication of all arms has the same workload hash. */
export function handResult(
  arm: number,
  replication: number,
  values: Readonly<Record<string, number | null>>,
  more: Partial<JobResult> = {},
): JobResult {
  return {
    arm,
    replication,
    values,
    samples: {},
    slo: {},
    sources: {
      ...emptySources(),
      prompt: 100,
      hbm: 60,
      host: 10,
      compulsory: 5,
      routing: 15,
      capacity: 10,
      existed: 95,
      captured: 72,
      delivered: 70,
      causes: { fresh: 5, routed_elsewhere: 15, evicted_tool_pause: 10 },
    },
    runHash: `${arm}-${replication}`,
    workloadHash: `w${replication}`,
    facts: {
      events: 1000,
      wallMs: 123,
      simMs: 1,
      turns: 10,
      promptTokens: 100,
      sessionsOffered: 4,
      sessionsCompleted: 3,
      sessionsFailed: 0,
      sessionsCensored: 1,
      sessionsAbandoned: 0,
      sessionsExcluded: 0,
      sessionsInSource: 120,
      sessionsTruncated: 0,
      overlongRequests: 0,
      hbmEvictedBlocks: 1,
      hbmExpiredBlocks: 0,
      hostStoredBlocks: 0,
      hostReadBytes: 0,
      diskWriteBytes: 0,
      remoteWriteBytes: 0,
      actionsSent: 0,
      actionsAccepted: 0,
      prefetchedBlocks: 0,
      claimsBroken: 0,
      preemptions: 0,
      segmentsTouched: 0,
      engineEvents: 0,
      largestSessionTokenShare: 0.1,
      pausesAboveTtl: 0,
      pauses: 5,
      regime: { calibrated: 0.25, fitOnly: 0.75, extrapolated: 0 },
      lastBlockRecomputed: 0,
      hitBlocks: 0,
      queryTokens: 0,
      hitTokens: 0,
    },
    ...more,
  };
}
