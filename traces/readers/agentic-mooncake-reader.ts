/**
 * Reads agentic Mooncake version 2: rows of a play in any order, tied by dependencies. A play becomes a session, a `session_id` within
 * it an agent. Source: trace specification 3.1.
 */
import type { TraceHeader } from '../format.ts';
import { HashListScanner } from '../hash-list-scanner.ts';
import {
  checkBlockCount,
  checkRepeats,
  isObject,
  type JsonObject,
  noteUnknown,
  runsOf,
  shown,
  text,
  wholeMs,
  wholeNumber,
} from '../json-fields.ts';
import { blocksOf } from '../run-list.ts';
import { emptyRequest } from '../session-draft.ts';
import { TraceBuilder } from '../trace-builder.ts';
import { agenticPlay, type PlayRow } from './agentic-play.ts';
import { parseLine } from './json-line.ts';
import type { LineReader, ReadBody, ReaderContext } from './line-reader.ts';
import { estimatedApiMs } from './weka-session.ts';

const HEADER_FIELDS = new Set('schema,version,block_size,hash_id_scope,source'.split(','));
const ROW_FIELDS = new Set(
  (
    'request_id,play_id,source_play_ordinal,session_id,model,input_length,output_length,output_token_ids,hash_ids,not_before_ms,' +
    'recorded_api_time_ms,priority,strict_priority,policy_class,dependencies'
  ).split(','),
);
const EDGE_FIELDS = new Set('request_id,trigger,delay_ms,relation'.split(','));
const TRIGGERS = ['dispatch', 'completion'];
const RELATIONS = ['sequence', 'spawn', 'join', 'replay_barrier'];

export class AgenticMooncakeReader implements LineReader {
  readonly #context: ReaderContext;
  readonly #scanner: HashListScanner | null;
  readonly #plays = new Map<string, { rows: PlayRow[]; bad: boolean }>();
  #builder: TraceBuilder | null = null;
  #blockTokens = 0;
  #scope: 'session' | 'file' = 'session';
  lastGoodLine = 0;

  constructor(context: ReaderContext) {
    this.#context = context;
    this.#scanner = context.fast ? new HashListScanner() : null;
  }

  get sessionsRead(): number {
    return this.#plays.size;
  }

  line(bytes: Buffer, from: number, to: number): void {
    const { log } = this.#context;
    const errors = log.total;
    const parsed = parseLine(log, this.#scanner, bytes, from, to, this.lastGoodLine);
    const value = parsed?.value;
    if (this.#builder === null) {
      this.#header(value);
      return;
    }
    if (parsed !== null && !isObject(value)) log.error('E_TRACE_SESSION', '', `got ${shown(value)}, expected a row`);
    const play = isObject(value) && typeof value['play_id'] === 'string' ? value['play_id'] : null;
    if (play !== null) this.#row(play, value as JsonObject, parsed!.lists);
    else if (isObject(value)) log.error('E_TRACE_SESSION', 'play_id', `got ${shown(value['play_id'])}, expected a string`);
    if (log.total === errors) {
      this.lastGoodLine = log.line;
      return;
    }
    const known = play ?? /"play_id"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(bytes.toString('utf8', from, to))?.[1];
    // A row that belongs to no play we can name would leave half a session behind.
    if (known === undefined) log.settle(true);
    else this.#spoil(known);
  }

  #spoil(play: string): void {
    const open = this.#plays.get(play) ?? { rows: [], bad: false };
    if (!open.bad) this.#context.log.skipSession();
    open.bad = true;
    open.rows = [];
    this.#plays.set(play, open);
  }

  #header(value: unknown): void {
    const { log } = this.#context;
    const at = (key: string): unknown => (isObject(value) ? value[key] : undefined);
    if (at('schema') !== 'dynamo.agentic_mooncake')
      log.error('E_TRACE_HEADER', 'schema', `got ${shown(at('schema'))}, expected "dynamo.agentic_mooncake"`);
    else if (at('version') !== 2) log.error('E_TRACE_VERSION', 'version', `got ${shown(at('version'))}, expected 2`);
    else {
      noteUnknown(log, value as JsonObject, HEADER_FIELDS, 'header');
      this.#blockTokens = wholeNumber(log, at('block_size'), 'block_size', 1, 'E_TRACE_HEADER', 4096);
      const scope = at('hash_id_scope') ?? 'local';
      if (scope !== 'local' && scope !== 'global')
        log.error('E_TRACE_HEADER', 'hash_id_scope', `got ${shown(scope)}, expected local or global`);
      this.#scope = scope === 'global' ? 'file' : 'session';
    }
    log.settle(true);
    this.#builder = new TraceBuilder({ idScope: this.#scope, blockTokens: this.#blockTokens, partialTail: 'labelled' });
  }

  #row(play: string, row: JsonObject, lists: readonly number[][] | null): void {
    const { log } = this.#context;
    const errors = log.total;
    noteUnknown(log, row, ROW_FIELDS, 'row');
    const requestId = text(log, row['request_id'], 'request_id', 'E_TRACE_SESSION');
    const lane = text(log, row['session_id'] ?? play, 'session_id', 'E_TRACE_SESSION');
    const inTokens = wholeNumber(log, row['input_length'], 'input_length', 1);
    const outTokens = wholeNumber(log, row['output_length'], 'output_length', 0);
    const ids = row['hash_ids'];
    const runs = lists !== null && typeof ids === 'number' ? (lists[ids] ?? null) : runsOf(log, ids, 'hash_ids', 'ids');
    const notBeforeMs = row['not_before_ms'] === undefined ? 0 : wholeMs(log, row['not_before_ms'], 'not_before_ms');
    const edges = this.#edges(row['dependencies']);
    if (log.total > errors || runs === null) return;
    if (!checkRepeats(log, runs, 'hash_ids')) return;
    if (!checkBlockCount(log, blocksOf(runs), inTokens, this.#blockTokens, 'labelled', 'hash_ids')) return;
    const request = emptyRequest(
      0,
      inTokens,
      outTokens,
      typeof row['model'] === 'string' && row['model'] !== '' ? row['model'] : 'default',
      runs,
    );
    const api = row['recorded_api_time_ms'];
    if (api === undefined || api === null) request.apiEstMs = estimatedApiMs(inTokens, outTokens);
    else request.apiMs = wholeMs(log, api, 'recorded_api_time_ms');
    const priority =
      row['priority'] === undefined || row['priority'] === null ? 0 : wholeNumber(log, row['priority'], 'priority', -(2 ** 31));
    if (row['output_token_ids'] !== undefined) log.notice('W_TRACE_IGNORED_FIELD', 'output_token_ids ignored');
    if (log.total > errors) return;
    const open = this.#plays.get(play) ?? { rows: [], bad: false };
    this.#plays.set(play, open);
    if (open.bad) return;
    open.rows.push({
      requestId,
      lane: lane.startsWith(`${play}/`) ? lane.slice(play.length + 1) : lane,
      request,
      notBeforeMs,
      edges,
      line: log.line,
      priority,
      policyClass: typeof row['policy_class'] === 'string' && row['policy_class'] !== '' ? row['policy_class'] : 'default',
      strictPriority: typeof row['strict_priority'] === 'number' ? row['strict_priority'] : 0,
    });
  }

  #edges(value: unknown): PlayRow['edges'] {
    const { log } = this.#context;
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) {
      log.error('E_TRACE_EDGE', 'dependencies', `got ${shown(value)}, expected an array`);
      return [];
    }
    return value.map((edge: unknown, i) => {
      const path = `dependencies[${i}]`;
      if (!isObject(edge)) {
        log.error('E_TRACE_EDGE', path, `got ${shown(edge)}, expected {request_id, trigger, delay_ms, relation}`);
        return { requestId: '', onCompletion: true, delayMs: 0, relation: 'sequence' };
      }
      noteUnknown(log, edge, EDGE_FIELDS, 'dependency');
      const trigger = edge['trigger'] ?? 'completion';
      const relation = edge['relation'] ?? 'sequence';
      if (!TRIGGERS.includes(trigger as string))
        log.error('E_TRACE_EDGE', `${path}.trigger`, `got ${shown(trigger)}, expected dispatch or completion`);
      if (!RELATIONS.includes(relation as string))
        log.error('E_TRACE_EDGE', `${path}.relation`, `got ${shown(relation)}, expected ${RELATIONS.join(', ')}`);
      return {
        requestId: text(log, edge['request_id'], `${path}.request_id`, 'E_TRACE_EDGE'),
        onCompletion: trigger === 'completion',
        delayMs: edge['delay_ms'] === undefined ? 0 : wholeMs(log, edge['delay_ms'], `${path}.delay_ms`),
        relation: relation as string,
      };
    });
  }

  end(): ReadBody | null {
    if (this.#builder === null) return null;
    const { log } = this.#context;
    const good = [...this.#plays].filter(([, play]) => !play.bad && play.rows.length > 0);
    // A file whose plays all start at 0 states no arrivals.
    const arrivals = good.some(([, play]) => play.rows.some((row) => row.edges.length === 0 && row.notBeforeMs > 0));
    for (const [id, play] of good) {
      const errors = log.total;
      const draft = agenticPlay(log, id, play.rows, this.#blockTokens, this.#context.notBefore === 'respect');
      if (draft === null || log.total > errors) {
        log.skipSession();
        continue;
      }
      if (!arrivals) draft.arrivalMs = Number.NaN;
      this.#builder.append(draft);
      play.rows = [];
    }
    const interpretation: TraceHeader['interpretation'] = {
      pauseRule: 'none',
      apiEstimate: 'weka-l1',
      subAgentRule: 'edges',
      chains: 'off',
      quantumMs: 1,
    };
    return {
      builder: this.#builder,
      header: {
        kvcast: 'trace',
        version: 1,
        blockTokens: this.#blockTokens,
        idScope: this.#scope,
        partialTail: 'labelled',
        source: { format: 'agentic-mooncake', name: this.#context.name },
        interpretation,
      },
    };
  }
}
