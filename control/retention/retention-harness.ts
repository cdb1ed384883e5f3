/** Drives one policy and a reference store through a session's requests; for tests and examples. */
import { type BranchId, BranchTable } from '../blocks.ts';
import type { AgentHints, AttemptEnd, KvAction, Millis, PauseKind, RankFacts, RetentionPolicy, RouteRequest } from '../ports.ts';
import { createRetention } from './create-retention.ts';
import type { RetentionEnv } from './retention-env.ts';

export type SentAction = Omit<KvAction, 'id'>;

/** The worked host of retention specification 3.2: 1,000,000 tokens of 64-token blocks. */
export const WORKED_FACTS: RankFacts = {
  blockTokens: 64,
  hbmBlocks: 10_000,
  hostBlocks: 15_625,
  maxBatchedTokens: 8192,
  blockBytes: 64 * 81_920,
  prefillMsPerToken: 0.053,
  prefillMsPerPair: 0.97e-6,
};

export interface FinishOptions {
  readonly rank?: number;
  readonly arrivalMs?: Millis;
  readonly depthBlocks?: number;
  readonly pause?: PauseKind;
  readonly tenant?: number;
  readonly tool?: string;
  readonly hints?: AgentHints;
  readonly end?: Partial<AttemptEnd>;
}

/** One policy with everything it needs, and what it sent. */
export class RetentionHarness {
  readonly branches = new BranchTable();
  readonly sent: SentAction[] = [];
  readonly policy: RetentionPolicy;
  #attempt = 0;
  /** Attempts sent and not ended, by session and branch. */
  readonly #open = new Map<string, number[]>();

  constructor(preset: string, params: Readonly<Record<string, unknown>>, env: Partial<RetentionEnv> = {}) {
    this.policy = createRetention(preset, params, { branches: this.branches, rankFacts: () => WORKED_FACTS, draw: () => 0.5, ...env });
  }

  /** A root branch of its own for a session. */
  session(blocks: number): BranchId {
    return this.branches.add(-1, 0, blocks);
  }

  request(session: number, branch: BranchId, options: FinishOptions, nowMs: Millis, attempt = this.#attempt++): RouteRequest {
    const depthBlocks = options.depthBlocks ?? this.branches.end(branch);
    return {
      attempt,
      id: `s${session}/root/${attempt}`,
      attemptNumber: 0,
      session,
      sessionKey: `s${session}`,
      tenant: options.tenant ?? 0,
      arrivalMs: options.arrivalMs ?? nowMs,
      promptTokens: depthBlocks * 64,
      branch,
      depthBlocks,
      ...(options.hints === undefined ? {} : { hints: options.hints }),
    };
  }

  dispatch(session: number, branch: BranchId, nowMs: Millis, options: FinishOptions = {}): RouteRequest {
    const request = this.request(session, branch, options, nowMs);
    const key = `${session}/${branch}`;
    this.#open.set(key, [...(this.#open.get(key) ?? []), request.attempt]);
    this.policy.on({ kind: 'dispatched', session, rank: options.rank ?? 0, request, nowMs }, (action) => this.sent.push(action));
    return request;
  }

  /** Ends a response on the chain, that of the request dispatched for it if there is one, and returns the actions it caused. */
  finish(session: number, branch: BranchId, nowMs: Millis, options: FinishOptions = {}): readonly SentAction[] {
    const request = this.request(session, branch, options, nowMs, this.#open.get(`${session}/${branch}`)?.shift());
    const before = this.sent.length;
    const end: AttemptEnd = {
      status: 'finished',
      stop: options.pause === 'human' ? 'turn' : 'tool',
      outputTokens: 1,
      ...(options.tool === undefined ? {} : { toolNames: [options.tool] }),
      ...options.end,
    };
    const rank = options.rank ?? 0;
    this.policy.on({ kind: 'finished', session, rank, request, end, pause: options.pause ?? 'tool', nowMs }, (action) =>
      this.sent.push(action),
    );
    return this.sent.slice(before);
  }

  close(session: number, nowMs: Millis): readonly SentAction[] {
    const before = this.sent.length;
    this.policy.on({ kind: 'closed', session, nowMs }, (action) => this.sent.push(action));
    return this.sent.slice(before);
  }
}
