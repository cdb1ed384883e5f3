/**
 * Client pauses of a trace as a run replays them. Pipeline: mode, anchor, tool times, scale, cap. Whole ms.
 * Source: trace specification 2.4 (recorded and debiased), 2.5 (kinds), 7.2 (order of transforms), 8 (`agents: root`).
 */
import { CAPTURE_NONE, STOPS, type ToolSpan, type Trace } from '../../traces/columns.ts';
import { counterfactualPause, type ToolTime } from './tool-time.ts';
import { PAUSE_KINDS } from './workload.ts';

export interface PauseOptions {
  readonly pauses: 'recorded' | 'debiased' | 'synthetic';
  readonly toolTime?: ToolTime;
  readonly scalePause: number;
  readonly gapCapMs: number;
}

const KIND_FIRST = PAUSE_KINDS.indexOf('first');
const KIND_TOOL = PAUSE_KINDS.indexOf('tool');
const KIND_HUMAN = PAUSE_KINDS.indexOf('human');
const KIND_JOIN = PAUSE_KINDS.indexOf('join');
const KIND_UNKNOWN = PAUSE_KINDS.indexOf('unknown');
const STOP_TOOL = STOPS.indexOf('tool');
const STOP_TURN = STOPS.indexOf('turn');
/** Capture type of requests whose recorded pause holds the PREVIOUS service time once more. */
const CAPTURE_S = 1;

/** Response time of a request: recorded, else the reader's estimate, else the fit of trace specification 2.4; ms. */
export function apiMs(trace: Trace, request: number): number {
  const recorded = trace.request.apiMs[request]!;
  if (!Number.isNaN(recorded)) return recorded;
  const estimated = trace.request.apiEstMs[request]!;
  if (!Number.isNaN(estimated)) return estimated;
  return estimatedApiMs(trace.request.inTokens[request]!, trace.request.outTokens[request]!);
}

/** 0.97 s + 15.8 ms per output token + 11.8 ms per 1000 input tokens, L1 fit on the WEKA corpus. Source: trace specification 2.4 rule 1. */
export function estimatedApiMs(inTokens: number, outTokens: number): number {
  return Math.floor((9_700_000 + 158_000 * outTokens + 118 * inTokens + 5_000) / 10_000);
}

/** Tool times, then scale, then cap, then whole ms. `spans` = tools that ran in the pause, where the trace tells. */
export function transformedPause(pauseMs: number, kind: number, spans: readonly ToolSpan[] | undefined, options: PauseOptions): number {
  const { toolTime } = options;
  const pause = toolTime === undefined ? pauseMs : counterfactualPause(pauseMs, kind, spans, toolTime);
  return Math.min(Math.round(pause * options.scalePause), options.gapCapMs);
}

/**
 * Pause before a request that is not the first of its agent, as the mode reads it, before scale and cap.
 * The recorded pause of a joining request is counted from the agents that join, and the closed loop does the same. `ignoresJoin` =
 * those agents are not replayed: the pause is counted from the agent's own previous response and so contains their run.
 */
export function pauseBefore(trace: Trace, request: number, ignoresJoin: boolean, options: PauseOptions): number {
  const recorded = zeroIfAbsent(trace.request.pauseMs[request]!);
  const debiased = trace.request.debiasedMs[request]!;
  let pause = options.pauses !== 'recorded' && !Number.isNaN(debiased) ? debiased : recorded;
  if (ignoresJoin) {
    const { startMs } = trace.request;
    const own = Math.max(0, startMs[request]! - startMs[request - 1]! - apiMs(trace, request - 1));
    pause = options.pauses !== 'recorded' ? Math.max(0, own - pauseBias(trace, request)) : own;
  }
  return pause;
}

/** Kind of the pause before a request, a code of PAUSE_KINDS. `first` = first request of its agent. */
export function pauseKindOf(trace: Trace, request: number, first: boolean, joins: boolean): number {
  if (first) return KIND_FIRST;
  if (joins) return KIND_JOIN;
  const stop = trace.request.stop[request - 1]!;
  return stop === STOP_TOOL ? KIND_TOOL : stop === STOP_TURN ? KIND_HUMAN : KIND_UNKNOWN;
}

/**
 * Service time that the recorded pause counts twice. By the rule of the trace where the capture type is known; else exact where the
 * debiased pause is above 0, and the common case (own service time) where it was floored.
 */
function pauseBias(trace: Trace, request: number): number {
  if (trace.header.interpretation.pauseRule === 'none') return 0;
  const capture = trace.request.captureType[request]!;
  if (capture === CAPTURE_S) return apiMs(trace, request - 1);
  const debiased = trace.request.debiasedMs[request]!;
  if (capture === CAPTURE_NONE && debiased > 0) return trace.request.pauseMs[request]! - debiased;
  return apiMs(trace, request);
}

function zeroIfAbsent(ms: number): number {
  return Number.isNaN(ms) ? 0 : ms;
}
