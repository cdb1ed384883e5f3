/** The zero-latency table of a trace, in the shape its id scope allows. */
import type { Trace } from '../columns.ts';
import { type GlobalZeroLatency, globalZeroLatency } from './global-zero-latency.ts';
import { type SessionZeroLatency, sessionZeroLatency } from './session-zero-latency.ts';

export type ZeroLatency = SessionZeroLatency | GlobalZeroLatency;

export function zeroLatency(trace: Trace): ZeroLatency {
  return trace.header.idScope === 'session' ? sessionZeroLatency(trace) : globalZeroLatency(trace);
}
