/** From what clients send to one normal form: {@link AgentHints}, and a list of what was not used and why. */
import type { AgentHints, CacheControl, Millis, RetainRange, Tokens } from '../ports.ts';
import { type CacheControlMark, cacheControls } from './cache-control.ts';
import type { CacheTtlMode } from './cache-ttl.ts';
import { type HintDrop, integerHint, members } from './hint-drop.ts';
import { parseRetainEnvelope, retainControls, retainRanges } from './retain-envelope.ts';

const MIN_INT32 = -0x8000_0000;
const MAX_INT32 = 0x7fff_ffff;
const MAX_UINT32 = 0xffff_ffff;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Hints of one request as they came. */
export interface RawHints {
  /** The `nvext` member of the body; its `agent_hints` are read. */
  readonly nvext?: unknown;
  /** `cache_control` marks with their positions in the prompt. */
  readonly cacheControl?: readonly CacheControlMark[];
  /** A KV hint envelope (dialect vllm-retain-1). */
  readonly envelope?: unknown;
}

export interface HintContext {
  readonly blockTokens: Tokens;
  readonly promptTokens: Tokens;
  /** Default dynamo-1.0. */
  readonly cacheTtlMode?: CacheTtlMode;
}

export interface NormalisedHints {
  /** Absent when nothing usable was given: such a request is the same as one without hints (retention:I7). */
  readonly hints?: AgentHints;
  readonly drops: readonly HintDrop[];
}

/** Normal form of a request's hints. Never throws: a bad field drops only itself. Source: router specification 1.2, 1.3, 1.5. */
export function normaliseHints(raw: RawHints, context: HintContext): NormalisedHints {
  const drops: HintDrop[] = [];
  const hints: Mutable<AgentHints> = {};
  const nvext = members(raw.nvext);
  if (raw.nvext !== undefined && nvext === undefined) drops.push({ field: 'nvext', reason: 'wrong_type' });
  const agent = nvext?.['agent_hints'];
  if (agent !== undefined) agentHints(agent, hints, drops);
  const ranges: RetainRange[] = [];
  const controls: CacheControl[] = [
    ...cacheControls(raw.cacheControl ?? [], context.blockTokens, context.cacheTtlMode ?? 'dynamo-1.0', drops),
  ];
  if (raw.envelope !== undefined) {
    const envelope = parseRetainEnvelope(raw.envelope);
    for (const outcome of envelope.outcomes) if (outcome.drop !== undefined) drops.push(outcome.drop);
    if (envelope.malformed !== undefined) drops.push(envelope.malformed);
    for (const action of envelope.actions) {
      controls.push(...retainControls(action.directives, context.blockTokens, context.promptTokens, drops));
      ranges.push(...retainRanges(action.directives, context.blockTokens, context.promptTokens));
    }
  }
  if (ranges.length > 0) hints.retain = ranges;
  if (controls.length > 0) hints.cacheControl = controls;
  return Object.keys(hints).length === 0 ? { drops } : { hints, drops };
}

const OSL_WORDS: Readonly<Record<string, Tokens>> = { LOW: 128, MEDIUM: 512, HIGH: 2048 };

function agentHints(value: unknown, hints: Mutable<AgentHints>, drops: HintDrop[]): void {
  const fields = members(value);
  if (fields === undefined) {
    drops.push({ field: 'agent_hints', reason: 'wrong_type' });
    return;
  }
  const integer = (key: string, min: number, max: number): number | undefined =>
    fields[key] === undefined ? undefined : integerHint(fields[key], min, max, key, drops);
  const priority = integer('priority', MIN_INT32, MAX_INT32);
  if (priority !== undefined) hints.priority = priority;
  const strict = integer('strict_priority', 0, MAX_UINT32);
  if (strict !== undefined) hints.strictPriority = strict;
  const osl = fields['osl'];
  if (typeof osl === 'string') {
    const tokens = Object.hasOwn(OSL_WORDS, osl) ? OSL_WORDS[osl] : undefined;
    if (tokens === undefined) drops.push({ field: 'osl', reason: 'unknown_value' });
    else hints.osl = tokens;
  } else {
    const tokens = integer('osl', 1, MAX_UINT32);
    if (tokens !== undefined) hints.osl = tokens;
  }
  const prefill = fields['speculative_prefill'];
  if (typeof prefill === 'boolean') hints.speculativePrefill = prefill;
  else if (prefill !== undefined) drops.push({ field: 'speculative_prefill', reason: 'wrong_type' });
  // A legacy head start in seconds; the normal form has no field of its own for it.
  if (fields['latency_sensitivity'] !== undefined && priority === undefined)
    drops.push({ field: 'latency_sensitivity', reason: 'unsupported' });
}

/** Longest TTL and declared pause of a trace, ms: 30 days. */
const MAX_TRACE_MS: Millis = 30 * 86_400_000;

/**
 * Session-level hints of a trace, already named as in the normal form: priority, strictPriority, osl, speculativePrefill, ttlMs
 * (the whole prompt of `depthBlocks` blocks), declaredPauseMs. Unknown keys are listed as unsupported.
 */
export function traceHints(raw: unknown, depthBlocks: number): NormalisedHints {
  const drops: HintDrop[] = [];
  const fields = members(raw);
  if (fields === undefined) return { drops: raw === undefined ? [] : [{ field: 'hints', reason: 'wrong_type' }] };
  const hints: Mutable<AgentHints> = {};
  for (const [field, value] of Object.entries(fields)) {
    if (field === 'speculativePrefill') {
      if (typeof value === 'boolean') hints.speculativePrefill = value;
      else drops.push({ field, reason: 'wrong_type' });
    } else if (field === 'ttlMs') {
      const ttlMs = integerHint(value, 0, MAX_TRACE_MS, field, drops);
      if (ttlMs !== undefined && depthBlocks > 0) hints.cacheControl = [{ blockIndex: depthBlocks - 1, ttlMs }];
      else if (ttlMs !== undefined) drops.push({ field, reason: 'too_short' });
    } else {
      const range = Object.hasOwn(TRACE_RANGES, field) ? TRACE_RANGES[field] : undefined;
      const number = range === undefined ? undefined : integerHint(value, range[0], range[1], field, drops);
      if (range === undefined) drops.push({ field, reason: 'unsupported' });
      else if (number !== undefined) hints[field as 'priority'] = number;
    }
  }
  return Object.keys(hints).length === 0 ? { drops } : { hints, drops };
}

const TRACE_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  priority: [MIN_INT32, MAX_INT32],
  strictPriority: [0, MAX_UINT32],
  osl: [1, MAX_UINT32],
  declaredPauseMs: [0, MAX_TRACE_MS],
};
