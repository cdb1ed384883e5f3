/**
 * Reads Mooncake rows: independent requests, or multi-turn sessions joined by `session_id` whose rows may be interleaved.
 * Source: trace specification 3.1 mooncake.
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
  wholeMs,
  wholeNumber,
} from '../json-fields.ts';
import { blocksOf } from '../run-list.ts';
import { emptyAgent, emptyRequest, emptySession, labelBreaks, type RequestDraft, type SessionDraft } from '../session-draft.ts';
import { TraceBuilder } from '../trace-builder.ts';
import { parseLine } from './json-line.ts';
import type { LineReader, ReadBody, ReaderContext } from './line-reader.ts';
import { estimatedApiMs } from './weka-session.ts';

const DEFAULT_BLOCK_TOKENS = 512;
const FIELDS = new Set(
  (
    'timestamp,created_time,input_length,input_tokens,output_length,output_tokens,hash_ids,session_id,delay,delay_ms,priority,' +
    'strict_priority,policy_class,output_token_ids,routing_constraints,request_id,model'
  ).split(','),
);

/** Rows of a session seen so far. */
interface OpenSession {
  readonly draft: SessionDraft;
  /** Timestamp of the last row, NaN if it had none. */
  lastMs: number;
  bad: boolean;
}

export class MooncakeReader implements LineReader {
  readonly #context: ReaderContext;
  readonly #scanner: HashListScanner | null;
  readonly #blockTokens: number;
  readonly #builder: TraceBuilder;
  readonly #open = new Map<string, OpenSession>();
  readonly #ticks = new TickCounter();
  #rows = 0;
  lastGoodLine = 0;

  constructor(context: ReaderContext) {
    this.#context = context;
    this.#scanner = context.fast ? new HashListScanner() : null;
    this.#blockTokens = context.blockTokens ?? DEFAULT_BLOCK_TOKENS;
    this.#builder = new TraceBuilder({ idScope: 'file', blockTokens: this.#blockTokens, partialTail: 'labelled' });
  }

  get sessionsRead(): number {
    return this.#builder.sessionCount + this.#open.size;
  }

  line(bytes: Buffer, from: number, to: number): void {
    const { log } = this.#context;
    const errors = log.total;
    this.#rows++;
    const parsed = parseLine(log, this.#scanner, bytes, from, to, this.lastGoodLine);
    if (parsed !== null) {
      if (isObject(parsed.value)) this.#row(parsed.value, parsed.lists);
      else log.error('E_TRACE_SESSION', '', `got ${shown(parsed.value)}, expected a row`);
    }
    if (log.total === errors) {
      this.lastGoodLine = log.line;
      return;
    }
    this.#markBad(parsed === null ? bytes.toString('utf8', from, to) : parsed.value);
  }

  /** A bad row takes its whole session with it: never half a session. */
  #markBad(row: unknown): void {
    const id = isObject(row) ? row['session_id'] : /"session_id"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(String(row))?.[1];
    if (typeof id !== 'string') {
      this.#context.log.skipSession();
      return;
    }
    const open = this.#open.get(id);
    if (open?.bad !== true) this.#context.log.skipSession();
    if (open !== undefined) open.bad = true;
    else this.#open.set(id, { draft: emptySession(id), lastMs: Number.NaN, bad: true });
  }

  #row(row: JsonObject, lists: readonly number[][] | null): void {
    const { log } = this.#context;
    const errors = log.total;
    noteUnknown(log, row, FIELDS, 'row');
    const inTokens = wholeNumber(
      log,
      row['input_length'] ?? row['input_tokens'],
      row['input_tokens'] === undefined ? 'input_length' : 'input_tokens',
      1,
    );
    const outTokens = wholeNumber(log, row['output_length'] ?? row['output_tokens'] ?? 0, 'output_length', 0);
    const ids = row['hash_ids'];
    const runs = lists !== null && typeof ids === 'number' ? (lists[ids] ?? null) : runsOf(log, ids, 'hash_ids', 'ids');
    const time = row['timestamp'] ?? row['created_time'];
    const session = row['session_id'];
    const name = typeof session === 'string' || typeof session === 'number' ? String(session) : '';
    const known = name === '' ? undefined : this.#open.get(name);
    const timeMs = time === undefined && known !== undefined ? Number.NaN : wholeMs(log, time, 'timestamp');
    if (log.total > errors || runs === null) return;
    if (!checkRepeats(log, runs, 'hash_ids')) return;
    if (!checkBlockCount(log, blocksOf(runs), inTokens, this.#blockTokens, 'labelled', 'hash_ids')) return;
    if (row['output_token_ids'] !== undefined) log.notice('W_TRACE_IGNORED_FIELD', 'output_token_ids ignored');
    if (row['routing_constraints'] !== undefined) log.notice('W_TRACE_IGNORED_FIELD', 'routing_constraints ignored');
    if (!Number.isNaN(timeMs)) this.#ticks.add(timeMs);
    const model = typeof row['model'] === 'string' && row['model'] !== '' ? row['model'] : 'default';
    const request = emptyRequest(0, inTokens, outTokens, model, runs);
    if (known !== undefined) {
      this.#follow(known, request, row, timeMs);
      return;
    }
    const draft = emptySession(name === '' ? `r${String(this.#rows).padStart(8, '0')}` : name);
    this.#attributes(draft, row);
    draft.arrivalMs = timeMs;
    const agent = emptyAgent('root', -1, model);
    agent.requests.push(request);
    draft.agents.push(agent);
    if (name === '') this.#builder.append(draft);
    else this.#open.set(name, { draft, lastMs: timeMs, bad: false });
  }

  #attributes(draft: SessionDraft, row: JsonObject): void {
    const { log } = this.#context;
    const priority = row['priority'];
    if (priority !== undefined && priority !== null) {
      if (typeof priority === 'number' && Number.isInteger(priority)) draft.priority = priority;
      else log.error('E_TRACE_VALUE', 'priority', `got ${shown(priority)}, expected an integer`);
    }
    if (typeof row['policy_class'] === 'string' && row['policy_class'] !== '') draft.class = row['policy_class'];
    const strict = row['strict_priority'];
    if (typeof strict === 'number' && strict > 0) draft.hints = { strictPriority: strict };
  }

  /** A later row of a session starts `delay` after the previous completion. */
  #follow(open: OpenSession, request: RequestDraft, row: JsonObject, timeMs: number): void {
    const { log } = this.#context;
    const agent = open.draft.agents[0];
    if (agent === undefined) return;
    const previous = agent.requests[agent.requests.length - 1]!;
    const delay = row['delay'] ?? row['delay_ms'];
    if (delay !== undefined && delay !== null) request.pauseMs = wholeMs(log, delay, row['delay'] === undefined ? 'delay_ms' : 'delay');
    else {
      request.pauseMs = Number.isNaN(timeMs) || Number.isNaN(open.lastMs) ? 0 : Math.max(0, timeMs - open.lastMs);
      log.notice(
        'W_TRACE_NO_DELAY',
        'rows without delay: the timestamp difference, which contains the previous service time, is the pause',
      );
    }
    const estimate = estimatedApiMs(previous.inTokens, previous.outTokens);
    const start = Number.isNaN(timeMs) ? previous.startMs + estimate + request.pauseMs : timeMs - open.draft.arrivalMs;
    request.startMs = Math.max(previous.startMs, start);
    if (!Number.isNaN(timeMs)) open.lastMs = timeMs;
    agent.requests.push(request);
  }

  end(): ReadBody | null {
    const { log } = this.#context;
    for (const { draft, bad } of this.#open.values()) {
      if (bad || draft.agents.length === 0) continue;
      labelBreaks(draft.agents[0]!, this.#blockTokens);
      this.#builder.append(draft);
    }
    this.#open.clear();
    const conflicts = this.#builder.partialConflicts();
    if (conflicts > 0) log.notice('W_TRACE_PARTIAL_CONFLICT', 'block ids that are partial in one row and full in another', conflicts);
    const interpretation: TraceHeader['interpretation'] = {
      pauseRule: 'none',
      apiEstimate: 'none',
      subAgentRule: 'none',
      chains: 'off',
      quantumMs: this.#ticks.quantumMs(),
    };
    return {
      builder: this.#builder,
      header: {
        kvcast: 'trace',
        version: 1,
        blockTokens: this.#blockTokens,
        idScope: 'file',
        partialTail: 'labelled',
        source: { format: 'mooncake', name: this.#context.name },
        interpretation,
      },
    };
  }
}

/** Distinct steps kept to judge a grid. */
const STEPS = 4096;

/** Recognises timestamps on a coarse grid: many rows per distinct time, and steps that are multiples of the smallest common one. */
class TickCounter {
  #last = Number.NaN;
  #rows = 0;
  #distinct = 0;
  #steps: number[] = [];

  add(timeMs: number): void {
    this.#rows++;
    if (timeMs === this.#last) return;
    this.#distinct++;
    if (this.#steps.length < STEPS && timeMs > this.#last) this.#steps.push(timeMs - this.#last);
    this.#last = timeMs;
  }

  /** The grid in ms (rounded to two digits, since published grids jitter by a millisecond), or 1. */
  quantumMs(): number {
    if (this.#distinct * 2 > this.#rows || this.#steps.length < 2) return 1;
    const sorted = [...this.#steps].sort((a, b) => a - b);
    const median = Number(sorted[sorted.length >> 1]!.toPrecision(2));
    if (median < 2) return 1;
    const tolerance = Math.max(1, median / 500);
    const fitting = sorted.filter((step) => Math.abs(step - median * Math.round(step / median)) <= tolerance && step > median / 2).length;
    return fitting >= 0.9 * sorted.length ? median : 1;
  }
}
