/** The simplest fleet that can drive a closed loop, for tests: every turn takes the time a script says, nothing queues. */
import { AgentLoop, type ClosedLoopSink, type PlayEnd } from './closed-loop.ts';
import type { Workload } from './workload.ts';

interface Event {
  readonly tMs: number;
  /** 0 = response complete, 1 = play starts, 2 = turn sent. */
  readonly kind: 0 | 1 | 2;
  readonly id: number;
}

/** One entry per play that ended. */
export interface EndedPlay {
  readonly play: number;
  readonly tMs: number;
  readonly status: PlayEnd;
  readonly activeMs: number;
  readonly unloadedMs: number;
}

/** Runs a workload to its end, or to a horizon; `unloadedMs` counts turns of the critical path. */
export class ScriptedFleet implements ClosedLoopSink {
  readonly dispatchedMs: number[] = [];
  readonly completedMs: number[] = [];
  readonly ends: EndedPlay[] = [];
  readonly loop: AgentLoop;
  readonly #workload: Workload;
  readonly #serviceMs: (turn: number) => number;
  readonly #events: Event[] = [];
  readonly #onEvent: (tMs: number) => void;

  constructor(workload: Workload, serviceMs: (turn: number) => number, onEvent: (tMs: number) => void = () => {}) {
    this.#workload = workload;
    this.#serviceMs = serviceMs;
    this.#onEvent = onEvent;
    this.loop = new AgentLoop(workload, this);
  }

  run(horizonMs = Number.POSITIVE_INFINITY): void {
    for (const play of this.#workload.initialPlays) this.#push({ tMs: this.#workload.plays.startMs[play]!, kind: 1, id: play });
    for (let event = this.#pop(); event !== undefined && event.tMs <= horizonMs; event = this.#pop()) {
      this.#handle(event);
      this.#onEvent(event.tMs);
    }
  }

  due(turn: number, tMs: number): void {
    this.#push({ tMs, kind: 2, id: turn });
  }

  cancelled(): void {
    throw new Error('nothing fails here');
  }

  playEnded(play: number, tMs: number, status: PlayEnd, activeMs: number, unloadedMs: number): void {
    this.ends.push({ play, tMs, status, activeMs, unloadedMs });
    if (this.#workload.mode !== 'closed') return;
    const { slot, ordinal } = this.#workload.plays;
    const next = this.#workload.successor(slot[play]!, ordinal[play]! + 1);
    if (next >= 0) this.#push({ tMs: tMs + this.#workload.respawnMs, kind: 1, id: next });
  }

  #handle({ tMs, kind, id }: Event): void {
    if (kind === 1) {
      this.loop.start(id, tMs);
    } else if (kind === 2) {
      this.dispatchedMs[id] = tMs;
      this.loop.dispatched(id, tMs);
      this.#push({ tMs: tMs + this.#serviceMs(id), kind: 0, id });
    } else {
      this.completedMs[id] = tMs;
      this.loop.completed(id, tMs, 1);
    }
  }

  /** Binary heap by (time, kind, id). */
  #push(event: Event): void {
    const heap = this.#events;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!before(event, heap[up]!)) break;
      heap[i] = heap[up]!;
      i = up;
    }
    heap[i] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#events;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let i = 0;
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.tMs - b.tMs < 0 || (a.tMs === b.tMs && (a.kind < b.kind || (a.kind === b.kind && a.id < b.id)));
}
