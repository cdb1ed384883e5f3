/**
 * The KV hint envelope and its dialect `vllm-retain-1`: import into directives, export of our claims. A malformed envelope is
 * dropped as a whole, a bad action only itself. Source: retention specification 3.4; vllm-project/vllm#53423 (merge state of
 * `kv.retain` unverified).
 */
import type { CacheControl, KvAction, Millis, RetainRange, Tokens } from '../ports.ts';
import { type HintDrop, type HintDropReason, members } from './hint-drop.ts';

/** Part of a prompt, or the output, with its priority. */
export interface RetainDirective {
  readonly startTokens: Tokens;
  /** null = to the end of the prompt. */
  readonly endTokens: Tokens | null;
  readonly coversOutput: boolean;
  /** 0..100; 0 releases. */
  readonly priority: number;
  /** null = without end. */
  readonly durationMs: Millis | null;
}

export interface RetainAction {
  readonly actionId: string;
  readonly scope: string;
  readonly directives: readonly RetainDirective[];
}

export interface EnvelopeOutcome {
  readonly actionId: string;
  readonly result: 'accepted' | 'rejected' | 'ignored';
  /** Set unless accepted. */
  readonly drop?: HintDrop;
}

export interface RetainEnvelope {
  readonly messageId: string;
  readonly actions: readonly RetainAction[];
  /** One per action of the envelope, in order. */
  readonly outcomes: readonly EnvelopeOutcome[];
  /** Set when the envelope as a whole was dropped; then there are no actions. */
  readonly malformed?: HintDrop;
}

const MAX_ACTIONS = 16;
const MAX_DIRECTIVES = 128;
const MAX_DURATION_S = 30 * 86_400;
const DIRECTIVE_KEYS = new Set(['start', 'end', 'covers_output', 'priority', 'duration']);
/** Token positions above this are no positions. */
const MAX_TOKENS = 0x7fff_ffff;

/** Refusal of one action or of the envelope. */
class Refused {
  readonly drop: HintDrop;

  constructor(field: string, reason: HintDropReason) {
    this.drop = { field: `envelope.${field}`, reason };
  }
}

/**
 * Reads an envelope of at most 16 actions and 128 directives. Never throws. `strict`: priorities that rise along the tokens reject
 * the whole envelope instead of their action.
 */
export function parseRetainEnvelope(value: unknown, strict = false): RetainEnvelope {
  const fields = members(value);
  const messageId = fields?.['message_id'];
  const list = fields?.['actions'];
  const version = fields?.['protocol_version'];
  const whole = (field: string, reason: HintDropReason): RetainEnvelope => ({
    messageId: typeof messageId === 'string' ? messageId : '',
    actions: [],
    outcomes: [],
    malformed: { field: field === '' ? 'envelope' : `envelope.${field}`, reason },
  });
  if (fields === undefined) return whole('', 'wrong_type');
  if (typeof messageId !== 'string' || messageId === '') return whole('message_id', 'wrong_type');
  if (typeof version !== 'string' && typeof version !== 'number') return whole('protocol_version', 'wrong_type');
  if (!Array.isArray(list)) return whole('actions', 'wrong_type');
  if (list.length > MAX_ACTIONS) return whole('actions', 'out_of_range');
  const actions: RetainAction[] = [];
  const outcomes: EnvelopeOutcome[] = [];
  const seen = new Set<string>();
  let directives = 0;
  for (const entry of list) {
    const id = members(entry)?.['action_id'];
    const actionId = typeof id === 'string' ? id : '';
    const result = seen.has(actionId) ? new Refused('action_id', 'unknown_value') : retainAction(entry, actionId);
    seen.add(actionId);
    if (result instanceof Refused) {
      if (strict && result.drop.field === 'envelope.priority_order') return whole('priority_order', result.drop.reason);
      const ignored = result.drop.field === 'envelope.action_type';
      outcomes.push({ actionId, result: ignored ? 'ignored' : 'rejected', drop: result.drop });
      continue;
    }
    directives += result.directives.length;
    if (directives > MAX_DIRECTIVES) return whole('directives', 'out_of_range');
    if (actions.length > 0 && actions[0]!.scope !== result.scope) return whole('scope', 'unknown_value');
    actions.push(result);
    outcomes.push({ actionId, result: 'accepted' });
  }
  return { messageId, actions, outcomes };
}

function retainAction(value: unknown, actionId: string): RetainAction | Refused {
  const fields = members(value);
  if (fields === undefined) return new Refused('action', 'wrong_type');
  if (fields['action_type'] !== 'kv.retain') return new Refused('action_type', 'unknown_value');
  if (actionId === '') return new Refused('action_id', 'wrong_type');
  if (!/^1(\.\d+)*$/.test(String(fields['action_version']))) return new Refused('action_version', 'unknown_value');
  const payload = members(fields['payload']);
  const list = payload?.['directives'];
  if (payload === undefined || !Array.isArray(list) || list.length === 0) return new Refused('payload', 'wrong_type');
  const scope = payload['scope'] ?? '';
  if (typeof scope !== 'string') return new Refused('scope', 'wrong_type');
  const directives: RetainDirective[] = [];
  for (const entry of list) {
    const directive = retainDirective(entry);
    if (directive instanceof Refused) return directive;
    directives.push(directive);
  }
  const inOrder = [...directives].sort((a, b) => Number(a.coversOutput) - Number(b.coversOutput) || a.startTokens - b.startTokens);
  for (let i = 1; i < inOrder.length; i++) {
    if (inOrder[i]!.priority > inOrder[i - 1]!.priority) return new Refused('priority_order', 'unknown_value');
  }
  return { actionId, scope, directives };
}

function retainDirective(value: unknown): RetainDirective | Refused {
  const fields = members(value);
  if (fields === undefined) return new Refused('directive', 'wrong_type');
  for (const key of Object.keys(fields)) if (!DIRECTIVE_KEYS.has(key)) return new Refused(`directive.${key}`, 'unknown_value');
  const priority = fields['priority'];
  if (typeof priority !== 'number' || !Number.isInteger(priority)) return new Refused('priority', 'wrong_type');
  if (priority < 0 || priority > 100) return new Refused('priority', 'out_of_range');
  const duration = fields['duration'] ?? null;
  if (duration !== null) {
    if (typeof duration !== 'number') return new Refused('duration', 'wrong_type');
    if (!Number.isFinite(duration)) return new Refused('duration', 'not_finite');
    if (duration < 0 || duration > MAX_DURATION_S) return new Refused('duration', 'out_of_range');
  }
  const durationMs = duration === null ? null : (duration as number) * 1000;
  const covers = fields['covers_output'] ?? false;
  if (typeof covers !== 'boolean') return new Refused('covers_output', 'wrong_type');
  const start = fields['start'] ?? 0;
  const end = fields['end'] ?? null;
  if (covers && (fields['start'] !== undefined || fields['end'] !== undefined)) return new Refused('covers_output', 'unknown_value');
  if (!isPosition(start) || (end !== null && !isPosition(end))) return new Refused('range', 'wrong_type');
  if (end !== null && (end as number) <= (start as number)) return new Refused('range', 'out_of_range');
  return { startTokens: start as number, endTokens: end as number | null, coversOutput: covers, priority, durationMs };
}

function isPosition(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS;
}

/**
 * Directives as claims on prefixes. Claiming a block claims everything before it (retention:I3), so a range becomes the prefix up
 * to its end, rounded down to blocks. Directives that release, cover the output or have no duration make no claim.
 */
export function retainControls(
  directives: readonly RetainDirective[],
  blockTokens: Tokens,
  promptTokens: Tokens,
  drops: HintDrop[],
): readonly CacheControl[] {
  const controls: CacheControl[] = [];
  for (const { startTokens, endTokens, coversOutput, priority, durationMs } of directives) {
    if (priority === 0 || durationMs === 0) continue;
    if (coversOutput) {
      drops.push({ field: 'envelope.covers_output', reason: 'unsupported' });
      continue;
    }
    if (durationMs === null) {
      drops.push({ field: 'envelope.duration', reason: 'no_duration' });
      continue;
    }
    const end = Math.min(endTokens ?? promptTokens, promptTokens);
    const blockIndex = Math.floor(end / blockTokens) - 1;
    if (blockIndex < Math.floor(startTokens / blockTokens)) drops.push({ field: 'envelope.range', reason: 'too_short' });
    else controls.push({ blockIndex, ttlMs: durationMs });
  }
  return controls;
}

/**
 * Directives as levels of block ranges: starts and ends rounded down to blocks, so that no partial block is kept (retention
 * specification 3.1). Ranges of less than a block and of the output are left out.
 */
export function retainRanges(directives: readonly RetainDirective[], blockTokens: Tokens, promptTokens: Tokens): readonly RetainRange[] {
  const ranges: RetainRange[] = [];
  for (const { startTokens, endTokens, coversOutput, priority, durationMs } of directives) {
    const fromBlocks = Math.floor(startTokens / blockTokens);
    const toBlocks = Math.floor(Math.min(endTokens ?? promptTokens, promptTokens) / blockTokens);
    if (!coversOutput && toBlocks > fromBlocks) ranges.push({ fromBlocks, toBlocks, priority, durationMs });
  }
  return ranges;
}

/**
 * Our claims and levels as an envelope of kv.retain actions, at most 16; `priority` is given to all claims, levels keep their own.
 * Durations count from `nowMs`; null = without end. A demotion is a release.
 */
export function retainEnvelope(
  messageId: string,
  actions: readonly KvAction[],
  blockTokens: Tokens,
  priority: number,
  nowMs: Millis,
): Readonly<Record<string, unknown>> {
  if (actions.length > MAX_ACTIONS) throw new Error(`an envelope holds ${MAX_ACTIONS} actions, got ${actions.length}`);
  return {
    protocol_version: '1.0',
    message_id: messageId,
    actions: actions.map((action) => {
      const remainingMs = Math.max(0, action.untilMs - nowMs);
      const released = action.verb === 'demote' || remainingMs === 0;
      const level = action.verb === 'retain' ? (action.priority ?? priority) : priority;
      return {
        action_id: String(action.id),
        action_type: 'kv.retain',
        action_version: '1.0',
        payload: {
          scope: 'request',
          directives: [
            {
              start: action.fromBlocks * blockTokens,
              end: action.toBlocks * blockTokens,
              priority: released ? 0 : level,
              duration: released || remainingMs === Number.POSITIVE_INFINITY ? null : remainingMs / 1000,
            },
          ],
        },
      };
    }),
  };
}
