import type { ActionOutcome, Blocks, KvAction, Millis, RetentionEvent, RetentionPolicy } from '../ports.ts';
import type { LevelParameters } from './level-parameters.ts';
import type { Act, RetentionEnv } from './retention-env.ts';

type Finished = Extract<RetentionEvent, { kind: 'finished' }>;

/** What became of the levels a policy wanted. */
export interface LevelCounters {
  sent: number;
  /** Levels of hints above what a tenant may ask for. */
  clippedPriority: number;
  /** Durations of 0 that mean for ever. */
  permanentZero: number;
  readonly settled: Record<ActionOutcome['result'], number>;
}

/**
 * Levels 0..100 for parts of a prompt, set when its response ends: an order among blocks, never a protection. Everything stays
 * evictable. Cost per response O(ranges). Source: retention specification 7 (trtllm, sglang-soft, vllm-retain).
 */
export class LevelRetention implements RetentionPolicy {
  readonly name: string;
  readonly deployable: string;
  readonly counters: LevelCounters = {
    sent: 0,
    clippedPriority: 0,
    permanentZero: 0,
    settled: { accepted: 0, clipped: 0, deferred: 0, rejected: 0, missing: 0 },
  };
  readonly #params: LevelParameters;
  readonly #env: RetentionEnv;

  constructor(name: string, deployable: string, params: LevelParameters, env: RetentionEnv) {
    this.name = name;
    this.deployable = deployable;
    this.#params = params;
    this.#env = env;
  }

  on(event: RetentionEvent, act: Act): void {
    if (event.kind !== 'finished' || event.end.status !== 'finished') return;
    const depth = event.request.depthBlocks;
    const blockTokens = this.#env.rankFacts(event.rank)?.blockTokens;
    for (const { startTokens, endTokens, priority, durationMs } of this.#params.ranges) {
      // Without the block size only the whole prompt can be named.
      if (blockTokens === undefined && (startTokens > 0 || endTokens !== null)) continue;
      const from = blockTokens === undefined ? 0 : Math.floor(startTokens / blockTokens);
      const to = endTokens === null ? depth : Math.floor(endTokens / blockTokens!);
      this.#set(event, from, Math.min(to, depth), priority, durationMs, act);
    }
    if (this.#params.hints === 'ignore') return;
    for (const { fromBlocks, toBlocks, priority, durationMs } of event.request.hints?.retain ?? []) {
      const allowed = Math.min(priority, this.#params.tenantMaxPriority);
      if (allowed < priority) {
        this.counters.clippedPriority++;
        if (this.#env.claims !== undefined) this.#env.claims.clipped++;
      }
      this.#set(event, fromBlocks, Math.min(toBlocks, depth), allowed, durationMs, act);
    }
  }

  settled(_action: KvAction, outcome: ActionOutcome): void {
    this.counters.settled[outcome.result]++;
  }

  #set(
    { rank, request, nowMs }: Finished,
    fromBlocks: Blocks,
    toBlocks: Blocks,
    priority: number,
    durationMs: Millis | null,
    act: Act,
  ): void {
    if (toBlocks <= fromBlocks) return;
    const p = this.#params;
    const isDefault = priority === p.defaultPriority;
    if (durationMs === 0 && !p.zeroIsPermanent && !isDefault) return;
    if (durationMs === 0 && p.zeroIsPermanent) this.counters.permanentZero++;
    // Only levels other than the default have a clock.
    const lasts = durationMs === null || durationMs === 0 || isDefault ? Number.POSITIVE_INFINITY : durationMs;
    this.counters.sent++;
    act({
      verb: 'retain',
      rank,
      session: request.session,
      branch: request.branch,
      fromBlocks,
      toBlocks,
      untilMs: nowMs + lasts,
      hardness: 'soft',
      mode: 'replace',
      onExpiry: p.onExpiry,
      tierFloor: 0,
      priority,
      priorityMerge: p.merge,
      reclaim: p.reclaim,
      ...(p.refresh === 'onHit' && Number.isFinite(lasts) ? { refreshMs: lasts } : {}),
    });
  }
}
