/** Tells a trace format by the content of its first line, never by a file name. Source: trace specification 3. */
import { UserError } from '../control/user-error.ts';
import { isObject, type JsonObject } from './json-fields.ts';

/** Formats this version reads. */
export const TRACE_FORMATS = ['kvcast', 'weka-raw', 'weka-ranges', 'agentx', 'mooncake', 'agentic-mooncake'] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

/** Other spellings accepted by `--format` and by scenarios. */
const ALIASES: Readonly<Record<string, TraceFormat>> = {
  weka: 'weka-raw',
  'mooncake-agentic': 'agentic-mooncake',
  'agentic-mooncake-v2': 'agentic-mooncake',
};

/** The format a user named. Throws E_TRACE_FORMAT. */
export function namedFormat(name: string, file: string): TraceFormat {
  const format = (TRACE_FORMATS as readonly string[]).includes(name) ? (name as TraceFormat) : ALIASES[name];
  if (format === undefined) throw formatError(file, `got format ${name}, expected ${TRACE_FORMATS.join(', ')}`);
  return format;
}

/** The format of a file whose first line (or document) is `first`. Throws E_TRACE_FORMAT, listing the candidates where several fit. */
export function detectFormat(first: unknown, file: string, line: number): TraceFormat {
  const candidates = isObject(first) ? candidatesOf(first) : [];
  const readable = candidates.filter((c): c is TraceFormat => (TRACE_FORMATS as readonly string[]).includes(c));
  if (candidates.length === 1 && readable.length === 1) return readable[0]!;
  if (candidates.length === 1)
    throw formatError(file, `got ${candidates[0]}, expected one of ${TRACE_FORMATS.join(', ')}`, 'This version does not read it.', line);
  if (candidates.length === 0)
    throw formatError(file, `got an unknown layout, expected one of ${TRACE_FORMATS.join(', ')}`, 'Pass --format.', line);
  const why = candidates.includes('mooncake') ? ' (request_id present, no wait_for)' : ' (whole seconds, no stop reasons)';
  throw formatError(file, `cannot tell ${candidates.join(' from ')}${why}`, 'Pass --format.', line);
}

function candidatesOf(first: JsonObject): string[] {
  if (first['kvcast'] === 'trace') return ['kvcast'];
  const schema = first['schema'] ?? (isObject(first['event']) ? first['event']['schema'] : undefined);
  if (schema === 'dynamo.agentic_mooncake') return ['agentic-mooncake'];
  if (schema === 'dynamo.request.trace.v1') return ['dynamo request trace'];
  if (Array.isArray(first['requests'])) return wekaCandidates(first['requests']);
  const has = (...names: string[]): boolean => names.some((name) => first[name] !== undefined);
  if (has('chat_id') && has('parent_chat_id')) return ['qwen-bailian'];
  if (has('newly_append_tokens')) return ['tracelab'];
  if (has('app') && has('block_chars')) return ['lmcache-approx'];
  if (!has('hash_ids') || !has('input_length', 'input_tokens')) return [];
  if (has('wait_for', 'tool_wait_ms', 'tool_events', 'branches')) return ['agentic-mooncake v1'];
  if (has('request_id')) return ['mooncake', 'agentic-mooncake v1'];
  return has('timestamp', 'created_time') ? ['mooncake'] : [];
}

/** WEKA and AgentX share a schema: AgentX has no stop reasons and input types, fractional seconds and ids from 0. */
function wekaCandidates(requests: readonly unknown[]): string[] {
  const flat = requests
    .flatMap((r) => (isObject(r) && Array.isArray(r['requests']) ? [r, ...(r['requests'] as unknown[])] : [r]))
    .filter(isObject);
  const prompts = flat.filter((r) => r['hash_ids'] !== undefined);
  if (prompts.length === 0 && requests.length > 0) return [];
  if (prompts.length === 0 || prompts.some((r) => r['stop'] !== undefined || r['input_types'] !== undefined)) {
    const pairs = prompts.some((r) => Array.isArray(r['hash_ids']) && Array.isArray(r['hash_ids'][0]));
    return [pairs ? 'weka-ranges' : 'weka-raw'];
  }
  const fractional = flat.some((r) => typeof r['t'] === 'number' && !Number.isInteger(r['t']));
  const zero = prompts.some(
    (r) => Array.isArray(r['hash_ids']) && (r['hash_ids'][0] === 0 || (r['hash_ids'][0] as unknown[] | undefined)?.[0] === 0),
  );
  return fractional || zero ? ['agentx'] : ['weka-raw', 'agentx'];
}

function formatError(file: string, message: string, hint?: string, line?: number): UserError {
  const position = line === undefined ? {} : { line };
  return new UserError({ severity: 'error', code: 'E_TRACE_FORMAT', file, ...position, message, ...(hint === undefined ? {} : { hint }) });
}
