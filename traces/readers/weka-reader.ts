/** Reads WEKA sessions (raw ids or ranges) and AgentX sessions, one per line or file. */
import type { TraceHeader } from '../format.ts';
import { HashListScanner } from '../hash-list-scanner.ts';
import { isObject, type JsonObject, shown } from '../json-fields.ts';
import { TraceBuilder } from '../trace-builder.ts';
import { parseLine } from './json-line.ts';
import type { LineReader, ReadBody, ReaderContext } from './line-reader.ts';
import { type WekaRules, wekaSession } from './weka-session.ts';

const DEFAULT_BLOCK_TOKENS = 64;

export class WekaReader implements LineReader {
  readonly #context: ReaderContext;
  readonly #agentx: boolean;
  readonly #scanner: HashListScanner | null;
  #builder: TraceBuilder | null = null;
  #rules: WekaRules | null = null;
  #scope = '';
  #encoding = 'none';
  #wholeSeconds = true;
  #types: Record<string, number> = {};
  #stops: Record<string, number> = {};
  lastGoodLine = 0;

  constructor(context: ReaderContext, agentx: boolean) {
    this.#context = context;
    this.#agentx = agentx;
    this.#scanner = context.fast ? new HashListScanner() : null;
  }

  get sessionsRead(): number {
    return this.#builder?.sessionCount ?? 0;
  }

  line(bytes: Buffer, from: number, to: number): void {
    const { log } = this.#context;
    const errors = log.total;
    const parsed = parseLine(log, this.#scanner, bytes, from, to, this.lastGoodLine);
    if (parsed !== null) this.#session(parsed.value, parsed.lists, parsed.encoding);
    if (log.total > errors) log.skipSession();
    else this.lastGoodLine = log.line;
  }

  #session(value: unknown, lists: readonly number[][] | null, encoding: string): void {
    const { log } = this.#context;
    if (!isObject(value)) {
      log.error('E_TRACE_SESSION', '', `got ${shown(value)}, expected a session`);
      return;
    }
    const rules = this.#rulesFor(value);
    if (rules === null) return;
    const draft = wekaSession(log, value, lists, rules);
    if (draft === null) return;
    if (this.#builder!.has(draft.id)) {
      log.error('E_TRACE_SESSION', 'id', `got session ${shown(draft.id)} again, expected unique ids`);
      return;
    }
    this.#builder!.append(draft);
    if (this.#encoding === 'none') this.#encoding = lists === null ? encodingOf(value) : encoding;
    this.#count(value['requests'] as readonly JsonObject[]);
  }

  /** Block size and scope are those of the first session; others must agree. */
  #rulesFor(value: JsonObject): WekaRules | null {
    const { log } = this.#context;
    const size = value['block_size'] ?? this.#context.blockTokens ?? DEFAULT_BLOCK_TOKENS;
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > 4096) {
      log.error('E_TRACE_HEADER', 'block_size', `got ${shown(size)}, expected an integer 1…4096`);
      return null;
    }
    const scope = value['hash_id_scope'] ?? 'local';
    if (scope !== 'local' && scope !== 'global') {
      log.error('E_TRACE_HEADER', 'hash_id_scope', `got ${shown(scope)}, expected local or global`);
      return null;
    }
    if (this.#rules === null) {
      this.#rules = { agentx: this.#agentx, blockTokens: size, basis: { relative: 0, absolute: 0 } };
      this.#scope = scope;
      this.#builder = new TraceBuilder({ idScope: scope === 'local' ? 'session' : 'file', blockTokens: size, partialTail: 'none' });
    } else if (size !== this.#rules.blockTokens) {
      log.error('E_TRACE_HEADER', 'block_size', `got ${size}, expected ${this.#rules.blockTokens} as in the first session`);
      return null;
    } else if (scope !== this.#scope) {
      log.error('E_TRACE_HEADER', 'hash_id_scope', `got ${scope}, expected ${this.#scope} as in the first session`);
      return null;
    }
    return this.#rules;
  }

  /** Raw labels of the root's requests. */
  #count(requests: readonly JsonObject[]): void {
    for (const r of requests) {
      if (r['type'] === 'subagent') continue;
      if (typeof r['type'] === 'string') this.#types[r['type']] = (this.#types[r['type']] ?? 0) + 1;
      if (typeof r['stop'] === 'string') this.#stops[r['stop']] = (this.#stops[r['stop']] ?? 0) + 1;
      if (!Number.isInteger(r['t'])) this.#wholeSeconds = false;
    }
  }

  end(): ReadBody | null {
    const rules = this.#rules;
    if (rules === null || this.#builder === null) return null;
    const { relative, absolute } = rules.basis;
    if (relative > 0 && absolute > 0)
      this.#context.log.notice('W_TRACE_TIME_BASIS', `sub-agents with relative inner times ${relative}, with absolute ones ${absolute}`);
    const interpretation: TraceHeader['interpretation'] = {
      pauseRule: this.#agentx ? 'none' : 'weka-n-own-api',
      apiEstimate: 'weka-l1',
      subAgentRule: absolute > relative ? 'marker-is-start' : 'marker-is-end',
      chains: 'off',
      quantumMs: this.#wholeSeconds ? 1000 : 1,
    };
    const format = this.#agentx ? 'agentx' : this.#encoding === 'ranges' ? 'weka-ranges' : 'weka-raw';
    return {
      builder: this.#builder,
      header: {
        kvcast: 'trace',
        version: 1,
        blockTokens: rules.blockTokens,
        idScope: this.#scope === 'local' ? 'session' : 'file',
        partialTail: 'none',
        source: { format, name: this.#context.name },
        interpretation,
      },
      facts: { types: this.#types, stops: this.#stops },
    };
  }
}

function encodingOf(value: JsonObject): string {
  for (const r of value['requests'] as readonly JsonObject[]) {
    const ids = r['hash_ids'];
    if (Array.isArray(ids) && ids.length > 0) return Array.isArray(ids[0]) ? 'ranges' : 'ids';
  }
  return 'none';
}
