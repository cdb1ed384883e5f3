/**
 * The lives of turns as Chrome trace events, which Perfetto shows: one process per session with a lane per agent, on which the components of
 * its turns follow one another, and one per worker with the prefill chunks of its steps, waits, loads, the length of its queue and what
 * happens in its memory (pool-timeline.ts).
 *
 *     pid 0 gateway (decisions) | 1 + rank worker | 1000 + k session          ts, dur in us; X, b/e, s/f, i, C, M
 *
 * Source: experiments specification 7.4; Trace Event Format (Google, 2016).
 */

import type { LoadView } from '../engine/worker.ts';
import { PoolTimeline } from './pool-timeline.ts';
import type { TraceEvent } from './trace-event.ts';

/** One slice of the life of a turn. */
export interface TurnSpan {
  readonly turn: string;
  readonly worker: number;
  readonly component: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Of a prefill chunk: place in its step, new and resident tokens. */
  readonly chunk?: { readonly lane: number; readonly tokens: number; readonly from: number };
}

const SESSIONS = 1000;
/** About 50 MB. */
const MOST_SPANS = 90_000;

/** Collects slices of one run and writes them down. */
export class TurnTimeline {
  readonly #spans: TurnSpan[] = [];
  readonly #pools = new PoolTimeline();

  add(span: TurnSpan): void {
    if (span.toMs > span.fromMs) this.#spans.push(span);
  }

  /** Copies of `blocks` blocks left a tier of a worker; `reason` is a code of REMOVAL. */
  removed(worker: number, tier: number, blocks: number, tMs: number, reason: number): void {
    this.#pools.removed(worker, tier, blocks, tMs, reason);
  }

  /** The memory of a worker at a look; bound, since it is handed over alone. */
  readonly looked = (worker: number, tMs: number, view: Readonly<LoadView>): void => this.#pools.looked(worker, tMs, view);

  /** All events, sorted by (ts, pid, tid); of a run that is too long those of every k-th session, which `sampled` tells. */
  events(most = MOST_SPANS): { readonly events: readonly TraceEvent[]; readonly sampled: number } {
    const names = [...new Set(this.#spans.map((span) => sessionOf(span.turn)))];
    const sampled = Math.max(1, Math.ceil(this.#spans.length / most));
    const sessions = new Map(names.flatMap((name, k) => (k % sampled === 0 ? [[name, SESSIONS + k] as const] : [])));
    const events: TraceEvent[] = [];
    const lanes = new Map<string, number>();
    const begun = new Set<string>();
    for (const span of this.#spans) {
      const pid = sessions.get(sessionOf(span.turn));
      if (pid !== undefined) events.push(...eventsOf(span, pid, laneOf(lanes, span.turn), begun));
    }
    events.push(...this.#pools.events());
    const order = events.map((event, seq) => ({ event, seq }));
    order.sort((a, b) => a.event.ts - b.event.ts || a.event.pid - b.event.pid || a.event.tid - b.event.tid || a.seq - b.seq);
    const sorted = order.map(({ event }) => event);
    return { events: [...namesOf(sorted, sessions, lanes), ...withQueueLengths(sorted)], sampled };
  }

  /** The file. */
  json(): { readonly text: string; readonly sampled: number } {
    const { events, sampled } = this.events();
    return { text: `{"displayTimeUnit":"ms","traceEvents":[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`, sampled };
  }
}

function eventsOf(span: TurnSpan, pid: number, tid: number, begun: Set<string>): TraceEvent[] {
  const { turn, component, worker, chunk } = span;
  const ts = 1000 * span.fromMs;
  const dur = 1000 * (span.toMs - span.fromMs);
  const out: TraceEvent[] = [{ name: component, cat: 'turn', ph: 'X', ts, dur, pid, tid, args: { turn, worker } }];
  const rank = { pid: 1 + worker, tid: 0, id: turn };
  if (component.startsWith('workerQueue') || component === 'tierLoad.host' || component === 'preempted.wait') {
    const cat = component === 'tierLoad.host' ? 'load' : 'queue';
    out.push({ name: component, cat, ph: 'b', ts, ...rank }, { name: component, cat, ph: 'e', ts: ts + dur, ...rank });
  }
  if (component === 'ingress') {
    out.push({ name: 'dispatch', cat: 'decision', ph: 'X', ts, dur, pid: 0, tid: worker, args: { turn, worker } });
    out.push({ name: 'dispatch', cat: 'decision', ph: 's', ts, pid: 0, tid: worker, id: turn });
    begun.add(turn);
  }
  if (chunk !== undefined) {
    const lane = { pid: 1 + worker, tid: 1 + chunk.lane };
    out.push({ name: 'chunk', cat: 'step', ph: 'X', ts, dur, ...lane, args: { turn, tokens: chunk.tokens, from: chunk.from } });
    if (begun.delete(turn)) out.push({ name: 'dispatch', cat: 'decision', ph: 'f', bp: 'e', ts, ...lane, id: turn });
  }
  return out;
}

/** Adds a counter of waiting requests per worker at every begin and end of a wait. */
function withQueueLengths(events: readonly TraceEvent[]): TraceEvent[] {
  const length = new Map<number, number>();
  return events.flatMap((event) => {
    if (event.cat !== 'queue') return [event];
    const waiting = (length.get(event.pid) ?? 0) + (event.ph === 'b' ? 1 : -1);
    length.set(event.pid, waiting);
    return [event, { name: 'waiting', ph: 'C', ts: event.ts, pid: event.pid, tid: 0, args: { waiting } }];
  });
}

function namesOf(events: readonly TraceEvent[], sessions: ReadonlyMap<string, number>, lanes: ReadonlyMap<string, number>): TraceEvent[] {
  const name = (what: string, pid: number, tid: number, text: string): TraceEvent => ({
    ...{ name: what, ph: 'M', ts: 0, pid, tid, args: { name: text } },
  });
  const workers = [...new Set(events.map((event) => event.pid))].filter((pid) => pid > 0 && pid < SESSIONS).sort((a, b) => a - b);
  return [
    name('process_name', 0, 0, 'gateway'),
    ...workers.map((pid) => name('process_name', pid, 0, `worker ${pid - 1}`)),
    ...[...sessions].map(([session, pid]) => name('process_name', pid, 0, `session ${session}`)),
    ...[...lanes].flatMap(([agent, tid]) => {
      const pid = sessions.get(sessionOf(agent));
      return pid === undefined ? [] : [name('thread_name', pid, tid, agent)];
    }),
  ];
}

/** Lane of an agent inside its session's process: a number of its own. */
function laneOf(lanes: Map<string, number>, turn: string): number {
  const agent = turn.slice(0, turn.lastIndexOf('/'));
  let lane = lanes.get(agent);
  if (lane === undefined) lanes.set(agent, (lane = lanes.size + 1));
  return lane;
}

function sessionOf(turn: string): string {
  const at = turn.indexOf('/');
  return at < 0 ? turn : turn.slice(0, at);
}
