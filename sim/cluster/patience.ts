/** How long a client waits for the first token before it gives the attempt up, or a user before they leave. Source: trace specification 7.7. */
import { lognormal, Stream } from '../kernel/draw.ts';
import { PAUSE_KINDS, type Workload } from '../workload/workload.ts';
import type { ClusterSpec } from './cluster-spec.ts';

/** Payloads of events of class abort: an attempt without first token is given up; the user of a turn leaves. */
export const IMPATIENT = { attempt: 0, user: 1 } as const;

const KIND_HUMAN = PAUSE_KINDS.indexOf('human');

/**
 * Patience of the user who sent a turn, ms from its arrival at the gateway; Infinity for turns that follow a tool, which have nobody
 * waiting. One draw per turn, keyed by its name.
 */
export function patienceMs(spec: ClusterSpec, workload: Workload, turn: number): number {
  const { medianMs, sigma } = spec.abandon;
  if (medianMs === Number.POSITIVE_INFINITY || workload.turns.pauseKind(turn) !== KIND_HUMAN) return Number.POSITIVE_INFINITY;
  if (sigma === 0) return medianMs;
  return lognormal(new Stream(`${spec.seed}/patience/${workload.turnName(turn)}`), medianMs, sigma);
}
