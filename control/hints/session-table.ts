import type { Identity } from './session-identity.ts';

/** Longest chain of parents that is followed; a longer one is a loop or a mistake. */
const MAX_HOPS = 16;

/**
 * Known sessions and their parents, least recently used out first. Answers which root a session belongs to.
 * Bound 65,536 sessions (router specification 1.4). Cost O(1) per note, O(hops) per root.
 */
export class SessionTable {
  readonly #parents = new Map<string, string | undefined>();
  readonly #capacity: number;

  constructor(capacity = 65_536) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#parents.size;
  }

  /** Remembers a session and its parent. Sessions are told apart by (tenant, model, id), byte for byte. */
  note(tenant: string, model: string, identity: Identity): void {
    if (identity.sessionId === undefined) return;
    const key = tableKey(tenant, model, identity.sessionId);
    const parent = identity.parentSessionId === undefined ? this.#parents.get(key) : tableKey(tenant, model, identity.parentSessionId);
    this.#parents.delete(key);
    this.#parents.set(key, parent);
    if (this.#parents.size > this.#capacity) this.#parents.delete(this.#parents.keys().next().value!);
  }

  /** Fairness flow: fairness id, program, root of the known parents, session, tenant, else `default`. */
  flow(tenant: string, model: string, identity: Identity): string {
    if (identity.fairnessId !== undefined) return identity.fairnessId;
    if (identity.programId !== undefined) return identity.programId;
    if (identity.sessionId !== undefined) return this.#root(tableKey(tenant, model, identity.sessionId));
    return tenant === '' ? 'default' : tenant;
  }

  #root(key: string): string {
    let at = key;
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const parent = this.#parents.get(at);
      if (parent === undefined || parent === key) break;
      at = parent;
    }
    return at.slice(at.lastIndexOf('\n') + 1);
  }
}

/** No id contains a line feed, so the parts can not be confused. */
function tableKey(tenant: string, model: string, session: string): string {
  return `${tenant}\n${model}\n${session}`;
}
