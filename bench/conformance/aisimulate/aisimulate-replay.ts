/**
 * Runs a recording of AISimulate through the whole simulation: scenario, workload, router, engine, step timer. Arrivals are those of
 * the recording; everything after them is simulated.
 */
import { loadScenario } from '../../../scenarios/load-scenario.ts';
import { Cluster } from '../../../sim/cluster/cluster.ts';
import type { ClusterSpec } from '../../../sim/cluster/cluster-spec.ts';
import { planOf } from '../../../sim/experiment/plan-of.ts';
import { policyCatalogue } from '../../../sim/experiment/policy-catalogue.ts';
import type { RunPlan } from '../../../sim/experiment/run-plan.ts';
import { clusterSpec } from '../../../sim/experiment/simulate.ts';
import type { PolynomialTimer } from '../../../sim/hardware/polynomial-timer.ts';
import { materialiseWorkload } from '../../../sim/workload/materialise.ts';
import type { Trace } from '../../../traces/columns.ts';
import { pushRun } from '../../../traces/run-list.ts';
import { emptyAgent, emptyRequest, emptySession } from '../../../traces/session-draft.ts';
import { TraceBuilder } from '../../../traces/trace-builder.ts';
import type { RecordedTiming, ReplayedRow } from './aisimulate-recording.ts';
import { RoundedMeansTimer } from './rounded-means-timer.ts';

/** A request to replay. Ids are unique in the whole run. */
export interface ReplayRequest {
  readonly arrivalMs: number;
  readonly inTokens: number;
  readonly outTokens: number;
  readonly ids: readonly number[];
}

/** Settings of a run that the recordings do not all share. */
export interface ReplaySettings {
  readonly workers: number;
  readonly blockTokens: number;
  /** `labelled`: the last id may name a partial block. */
  readonly partialTail: 'none' | 'labelled';
  readonly timing: RecordedTiming;
  readonly stepMode: 'jump' | 'reference';
  /** Prompt tokens of a step as AISimulate rounds them; see rounded-means-timer.ts. */
  readonly roundedMeans: boolean;
}

/** The common settings of the recordings: one more block than AISimulate's 16,384, since ours keeps one for itself as vLLM does. */
export function scenarioText({ workers, blockTokens, timing, stepMode }: ReplaySettings): string {
  const timer =
    timing.kind === 'fixed'
      ? `{ use: phases@1, with: { prefillMs: ${timing.prefillMs}, decodeMs: ${timing.decodeMs} } }`
      : '{ use: polynomial@1 }';
  return `kvcast: 1
name: aisimulate
kind: terminating
workload:
  trace: { use: mooncake-conversation@1, pauses: recorded }
  resample: none
  arrivals: { mode: recorded }
  timeout: { request: inf }
fleet:
  model: qwen3-235b-a22b-fp8@1
  contextLimit: ${16_384 * blockTokens - 1}
  pools:
    - name: one
      gpu: h100-sxm@1
      workers: ${workers}
      engine:
        use: vllm@1
        with: { blockSize: ${blockTokens}, kvBlocks: 16385, maxSeqs: 256, maxBatchedTokens: 8192, requestDelay: 0, stepMode: ${stepMode} }
      timer: ${timer}
control:
  router: round-robin@1
  retention: lru@1
  signals: { metricsAge: 0, indexAge: 0, netDelay: 0 }
  hints: 0
run:
  replications: 1
`;
}

/** Runs the requests, which are in the order of their arrival, and answers in that order. */
export async function replayRequests(requests: readonly ReplayRequest[], settings: ReplaySettings): Promise<ReplayedRow[]> {
  const plan = await planFor(settings);
  const workload = materialiseWorkload(traceOf(requests, settings), plan.workload, plan.seed, 0);
  // Recorded arrivals of a workload are whole milliseconds; those of a closed loop are not.
  for (const [i, request] of requests.entries()) workload.plays.startMs[i] = request.arrivalMs;
  const spec = clusterSpec(plan, plan.arms[0]!, workload, 0, null);
  const cluster = new Cluster(settings.roundedMeans ? withRoundedMeans(spec) : spec);
  while (cluster.step(1_000_000));
  const { turns } = cluster.result();
  return requests.map((_, i) => ({
    firstAdmitMs: turns.admitMs[i]!,
    ttftMs: turns.firstTokenMs[i]! - turns.arrivalMs[i]!,
    e2eMs: turns.lastTokenMs[i]! - turns.arrivalMs[i]!,
    reusedTokens: turns.hitHbmTokens[i]!,
    admissions: 1 + turns.preemptions[i]!,
    worker: turns.worker[i]!,
  }));
}

function withRoundedMeans(spec: ClusterSpec): ClusterSpec {
  const workers = spec.fleet.workers.map((worker) => ({
    ...worker,
    createTimer: () => new RoundedMeansTimer(worker.createTimer() as PolynomialTimer),
  }));
  return { ...spec, fleet: { ...spec.fleet, workers } };
}

async function planFor(settings: ReplaySettings): Promise<RunPlan> {
  const loaded = await loadScenario({ text: scenarioText(settings), name: 'aisimulate' }, { policies: policyCatalogue() });
  return planOf(loaded, { metrics: [] });
}

/** One session per request, named in their order, so that requests of one time keep it. */
function traceOf(requests: readonly ReplayRequest[], { blockTokens, partialTail }: ReplaySettings): Trace {
  const builder = new TraceBuilder({ idScope: 'file', blockTokens, partialTail });
  for (const [i, { arrivalMs, inTokens, outTokens, ids }] of requests.entries()) {
    const runs: number[] = [];
    for (const id of ids) pushRun(runs, id, id);
    const agent = emptyAgent('root', -1, 'default');
    agent.requests.push(emptyRequest(0, inTokens, outTokens, 'default', runs));
    builder.append({ ...emptySession(`r${String(i).padStart(8, '0')}`), arrivalMs, agents: [agent] });
  }
  const interpretation = { pauseRule: 'none', apiEstimate: 'none', subAgentRule: 'none', chains: 'off', quantumMs: 1 };
  return builder.finish(
    {
      kvcast: 'trace',
      version: 1,
      blockTokens,
      idScope: 'file',
      partialTail,
      source: { format: 'aisimulate', digest: 'none' },
      interpretation,
    },
    [],
  );
}
