import type { KvHint, Millis, SessionId } from '../ports.ts';
import { OutcomeTable } from '../retention/outcome-table.ts';

/** What became of a hint: retention specification 3.2, in its order of precedence. */
export type HintOutcome =
  | { readonly result: 'accepted' }
  | { readonly result: 'rejected'; readonly reason: 'invalid' | 'unauthorised' | 'unsupported' };

/** Hints by outcome; repeats are counted once more under `repeated` and execute nothing. */
export interface HintCounters {
  accepted: number;
  repeated: number;
  readonly rejected: Record<'invalid' | 'unauthorised' | 'unsupported', number>;
}

const ACCEPTED: HintOutcome = { result: 'accepted' };
/** Longest known sessions; the one that asked longest ago is forgotten and then belongs to nobody. */
const MAX_SESSIONS = 65_536;

/**
 * The door for hints outside of requests: valid, from somebody who may, understood, and not a repeat. A tenant acts on its own
 * sessions only (retention specification 14.3); sessions belong to the tenant of their first request. Cost O(1).
 */
export class HintDesk {
  readonly counters: HintCounters = { accepted: 0, repeated: 0, rejected: { invalid: 0, unauthorised: 0, unsupported: 0 } };
  readonly #tenants = new Map<SessionId, number>();
  readonly #outcomes = new OutcomeTable<HintOutcome>();

  /** Remembers whose a session is. */
  saw(session: SessionId, tenant: number): void {
    if (this.#tenants.has(session)) return;
    this.#tenants.set(session, tenant);
    if (this.#tenants.size > MAX_SESSIONS) this.#tenants.delete(this.#tenants.keys().next().value!);
  }

  /** Outcome of a hint; `execute` runs if it is accepted for the first time. */
  take(hint: KvHint, nowMs: Millis, execute: () => void): HintOutcome {
    const { source = '', messageId, actionId } = hint;
    if (messageId === undefined || actionId === undefined) return this.#judge(hint, execute);
    let isFirst = false;
    const outcome = this.#outcomes.once(source, messageId, actionId, nowMs, () => {
      isFirst = true;
      return this.#judge(hint, execute);
    });
    if (!isFirst) this.counters.repeated++;
    return outcome;
  }

  #judge(hint: KvHint, execute: () => void): HintOutcome {
    if (!isValid(hint)) return this.#refuse('invalid');
    if (hint.tenant !== undefined && this.#tenants.get(hint.session) !== hint.tenant) return this.#refuse('unauthorised');
    // Nobody keeps the chain of a session for a claim outside of a request.
    if (hint.kind === 'retain') return this.#refuse('unsupported');
    this.counters.accepted++;
    execute();
    return ACCEPTED;
  }

  #refuse(reason: 'invalid' | 'unauthorised' | 'unsupported'): HintOutcome {
    this.counters.rejected[reason]++;
    return { result: 'rejected', reason };
  }
}

function isValid({ kind, session, keptTokens, untilMs }: KvHint): boolean {
  if (!Number.isInteger(session) || session < 0) return false;
  if (kind === 'sessionCompacted') return Number.isInteger(keptTokens) && keptTokens! >= 0;
  if (kind === 'retain') return Number.isFinite(untilMs) && untilMs! >= 0;
  return kind === 'sessionClosed' || kind === 'release';
}
