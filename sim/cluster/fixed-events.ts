/** What is in the calendar before a run begins, besides the first plays: faults, samples, the end of the warm-up, scrapes. */
import type { Calendar } from '../kernel/calendar.ts';
import { Stream } from '../kernel/draw.ts';
import { EVENT_CLASS } from '../kernel/event-class.ts';
import type { ClusterSpec } from './cluster-spec.ts';
import { SAMPLE_MS } from './occupancy.ts';

/** Payloads of observations: all workers are sampled; the measured window begins. A rank is scraped otherwise. */
export const OBSERVE = { sample: -1, warm: -2 } as const;

/** Queues them. A fault's payload is its index. */
export function queueFixedEvents(spec: ClusterSpec, calendar: Calendar): void {
  spec.faults.forEach((fault, i) => {
    calendar.push(fault.atMs, EVENT_CLASS.lifecycle, Math.max(0, fault.worker), i);
  });
  calendar.push(SAMPLE_MS, EVENT_CLASS.observe, 0, OBSERVE.sample);
  if (spec.warmupMs > 0) calendar.push(spec.warmupMs, EVENT_CLASS.observe, 0, OBSERVE.warm);
  if (!spec.feedsReports) return;
  const period = spec.network.metricsAgeMs;
  spec.fleet.workers.forEach((_, rank) => {
    const phase = new Stream(`${spec.seed}/scrape/${rank}`).double() * period;
    calendar.push(phase, EVENT_CLASS.observe, rank, rank);
  });
}
