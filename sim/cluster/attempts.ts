/** Attempts to serve turns: which turn, where, and whether it still runs. Columns by attempt id. */
import type { RouteRequest } from '../../control/ports.ts';

/** States of an attempt. */
export const ATTEMPT = { routing: 0, sent: 1, running: 2, over: 3 } as const;

export class Attempts {
  count = 0;
  turn = new Int32Array(1024);
  rank = new Int32Array(1024);
  state = new Uint8Array(1024);
  outputTokens = new Int32Array(1024);
  /** 0 finished, else index into the end kinds of the cluster. */
  endKind = new Uint8Array(1024);
  /** Prompt tokens the engine found cached at the first admission. */
  cachedTokens = new Int32Array(1024);
  readonly #requests: (RouteRequest | undefined)[] = [];

  add(turn: number): number {
    const id = this.count++;
    if (id === this.turn.length) this.#grow();
    this.turn[id] = turn;
    this.rank[id] = -1;
    this.state[id] = ATTEMPT.routing;
    return id;
  }

  /** Remembers the request until the attempt is over. */
  keep(id: number, request: RouteRequest): void {
    this.#requests[id] = request;
  }

  request(id: number): RouteRequest {
    return this.#requests[id]!;
  }

  close(id: number): void {
    this.state[id] = ATTEMPT.over;
    this.#requests[id] = undefined;
  }

  #grow(): void {
    const size = this.turn.length * 2;
    for (const name of ['turn', 'rank', 'outputTokens', 'cachedTokens'] as const) {
      const wide = new Int32Array(size);
      wide.set(this[name]);
      this[name] = wide;
    }
    for (const name of ['state', 'endKind'] as const) {
      const wide = new Uint8Array(size);
      wide.set(this[name]);
      this[name] = wide;
    }
  }
}
