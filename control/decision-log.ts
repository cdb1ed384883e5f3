/**
 * The replayable decision log: every call on a control plane and every effect it answered with, one canonical JSON line each.
 *
 *     {"kvcast":"decisions","v":1}
 *     {"branch":[id,parent,attach,length,flags]}      a branch, before the first call that names it, and again when it has grown
 *     {"args":[...],"call":"request","tMs":12.5}      an input of the plane
 *     {"args":[...],"effect":"dispatch"}              an effect of the call above
 *
 * Keys are sorted, numbers are the shortest text that reads back to the same float64; what JSON lacks (infinities, NaN, -0, big
 * integers) is written as {"$":"text"}. So equal logs mean equal behaviour, byte for byte (router specification 9, mode A).
 */
import { type BranchId, BranchTable } from './blocks.ts';
import type { ControlPlane, DecisionRecord, Effects, KvAction, Millis, Placement, Refusal, RouteRequest, Tier } from './ports.ts';
import { KvEventBatch } from './ports.ts';
import { UserError } from './user-error.ts';

/** Version of the format; a reader refuses others. */
export const DECISION_LOG_VERSION = 1;

/** Receives one line without its newline. */
export type LogSink = (line: string) => void;

/** Makes a plane that answers through `effects` and reads chains from `branches`. */
export type PlaneFactory = (effects: Effects, branches: BranchTable) => ControlPlane;

/**
 * Wraps a plane so that its calls and effects are written to `sink`, effects in order after the call that caused them. `makePlane`
 * is called once, with effects that write and then forward to `effects`. Cost per call O(size of its arguments + path of its branches).
 */
export function recordPlane(makePlane: PlaneFactory, effects: Effects, branches: BranchTable, sink: LogSink): ControlPlane {
  sink(canonicalJson({ kvcast: 'decisions', v: DECISION_LOG_VERSION }));
  const plane = makePlane(
    tellEffects((line, forward) => {
      sink(line);
      forward(effects);
    }),
    branches,
  );
  const declared = new Map<BranchId, string>();
  const declare = (branch: BranchId): void => {
    if (branch < 0) return;
    declare(branches.parent[branch]!);
    const { parent, attach, length, flags } = branches;
    const line = `{"branch":[${branch},${parent[branch]},${attach[branch]},${length[branch]},${flags[branch]}]}`;
    if (declared.get(branch) === line) return;
    declared.set(branch, line);
    sink(line);
  };
  const log = (call: string, args: readonly unknown[], tMs: Millis): void => sink(canonicalJson({ args, call, tMs }));
  return {
    request(request, nowMs) {
      declare(request.branch);
      // Names may be computed by the object that carries the request.
      log('request', [{ ...request, id: request.id, sessionKey: request.sessionKey }], nowMs);
      plane.request(request, nowMs);
    },
    firstToken(attempt, nowMs) {
      log('firstToken', [attempt], nowMs);
      plane.firstToken(attempt, nowMs);
    },
    progress(attempt, outputTokens, nowMs) {
      log('progress', [attempt, outputTokens], nowMs);
      plane.progress(attempt, outputTokens, nowMs);
    },
    ended(attempt, end, nowMs) {
      log('ended', [attempt, end], nowMs);
      plane.ended(attempt, end, nowMs);
    },
    worker(change, nowMs) {
      log('worker', [change], nowMs);
      plane.worker(change, nowMs);
    },
    kvEvents(batch, nowMs) {
      for (let i = 0; i < batch.count; i++) declare(batch.branch[i]!);
      log('kvEvents', [plainBatch(batch)], nowMs);
      plane.kvEvents(batch, nowMs);
    },
    report(report, nowMs) {
      log('report', [report], nowMs);
      plane.report(report, nowMs);
    },
    hint(hint, nowMs) {
      log('hint', [hint], nowMs);
      plane.hint(hint, nowMs);
    },
    settled(action, outcome, nowMs) {
      log('settled', [action, outcome], nowMs);
      plane.settled(action, outcome, nowMs);
    },
    timer(nowMs) {
      log('timer', [], nowMs);
      plane.timer(nowMs);
    },
  };
}

/** Where a replay first differs from its log. */
export interface LogDifference {
  /** 1-based line of the log. */
  readonly line: number;
  /** The call that was being answered, as logged. */
  readonly call: string;
  /** Effect line of the replay; absent when it gave fewer effects. */
  readonly got?: string;
  /** Effect line of the log; absent when the replay gave more effects. */
  readonly expected?: string;
}

export interface ReplayResult {
  readonly calls: number;
  readonly effects: number;
  readonly firstDifference?: LogDifference;
}

/**
 * Feeds the calls of a log into a fresh plane and compares its effects byte for byte; stops at the first difference.
 * Throws UserError E_LOG with the line for text that is no decision log. Cost O(log); memory O(branches + effects of one call).
 */
export function replayLog(lines: Iterable<string>, makePlane: PlaneFactory): ReplayResult {
  const branches = new BranchTable();
  const produced: string[] = [];
  const plane = makePlane(
    tellEffects((line) => void produced.push(line)),
    branches,
  );
  let number = 0;
  let calls = 0;
  let effects = 0;
  let compared = 0;
  let call = '';
  let callLine = 0;
  const surplus = (): ReplayResult | undefined =>
    compared < produced.length ? { calls, effects, firstDifference: { line: callLine, call, got: produced[compared]! } } : undefined;
  for (const line of lines) {
    number++;
    if (line === '') continue;
    const entry = parseLine(line, number);
    if (number === 1) {
      checkHeader(entry);
      continue;
    }
    if (entry['effect'] !== undefined) {
      effects++;
      const got = produced[compared++];
      if (got !== line) {
        return { calls, effects, firstDifference: { line: number, call, expected: line, ...(got === undefined ? {} : { got }) } };
      }
      continue;
    }
    const extra = surplus();
    if (extra !== undefined) return extra;
    if (entry['branch'] !== undefined) {
      restoreBranch(branches, entry['branch'] as readonly number[]);
      continue;
    }
    produced.length = 0;
    compared = 0;
    calls++;
    call = line;
    callLine = number;
    perform(plane, entry, number);
  }
  if (number === 0) throw badLog(1, 'got an empty log');
  return surplus() ?? { calls, effects };
}

/** Effects that hand every effect on as its line; `forward` passes it to real effects. */
function tellEffects(tell: (line: string, forward: (to: Effects) => void) => void): Effects {
  return {
    dispatch: (request: RouteRequest, placement: Placement) =>
      tell(canonicalJson({ args: [request.attempt, placement], effect: 'dispatch' }), (to) => to.dispatch(request, placement)),
    refuse: (request: RouteRequest, refusal: Refusal) =>
      tell(canonicalJson({ args: [request.attempt, refusal], effect: 'refuse' }), (to) => to.refuse(request, refusal)),
    act: (action: KvAction) => tell(canonicalJson({ args: [action], effect: 'act' }), (to) => to.act(action)),
    wakeAt: (tMs: Millis) => tell(canonicalJson({ args: [tMs], effect: 'wakeAt' }), (to) => to.wakeAt(tMs)),
    decided: (record: DecisionRecord) => tell(canonicalJson({ args: [record], effect: 'decided' }), (to) => to.decided(record)),
  };
}

/** Calls of a plane by name, as arguments in a log. */
function perform(plane: ControlPlane, entry: Readonly<Record<string, unknown>>, line: number): void {
  const { call, tMs } = entry;
  const args = entry['args'];
  if (typeof call !== 'string' || typeof tMs !== 'number' || !Array.isArray(args))
    throw badLog(line, 'got a line that is neither branch, call nor effect');
  const [first, second] = args as [never, never];
  switch (call) {
    case 'request':
      plane.request(first, tMs);
      break;
    case 'firstToken':
      plane.firstToken(first, tMs);
      break;
    case 'progress':
      plane.progress(first, second, tMs);
      break;
    case 'ended':
      plane.ended(first, second, tMs);
      break;
    case 'worker':
      plane.worker(first, tMs);
      break;
    case 'kvEvents':
      plane.kvEvents(batchOf(first), tMs);
      break;
    case 'report':
      plane.report(first, tMs);
      break;
    case 'hint':
      plane.hint(first, tMs);
      break;
    case 'settled':
      plane.settled(first, second, tMs);
      break;
    case 'timer':
      plane.timer(tMs);
      break;
    default:
      throw badLog(line, `got call ${call}, expected a call of the control plane`);
  }
}

interface PlainBatch {
  readonly rank: number;
  readonly epoch: number;
  readonly seq: number;
  readonly publishedMs: Millis;
  /** [kind, tier, branch, from, to] each. */
  readonly ranges: readonly (readonly number[])[];
}

function plainBatch(batch: KvEventBatch): PlainBatch {
  const ranges: number[][] = [];
  for (let i = 0; i < batch.count; i++) ranges.push([batch.kind[i]!, batch.tier[i]!, batch.branch[i]!, batch.from[i]!, batch.to[i]!]);
  return { rank: batch.rank, epoch: batch.epoch, seq: batch.seq, publishedMs: batch.publishedMs, ranges };
}

function batchOf(plain: PlainBatch): KvEventBatch {
  const batch = new KvEventBatch();
  batch.rank = plain.rank;
  batch.epoch = plain.epoch;
  batch.seq = plain.seq;
  batch.publishedMs = plain.publishedMs;
  for (const [kind, tier, branch, from, to] of plain.ranges) batch.push(kind!, tier as Tier, branch!, from!, to!);
  return batch;
}

/** Puts a logged branch back under its own id; ids that the log never names stay empty branches. */
function restoreBranch(branches: BranchTable, [id, parent, attach, length, flags]: readonly number[]): void {
  while (branches.count <= id!) branches.add(-1, 0, 0);
  branches.parent[id!] = parent!;
  branches.attach[id!] = attach!;
  branches.start[id!] = parent! < 0 ? 0 : branches.start[parent!]! + attach!;
  branches.length[id!] = length!;
  branches.flags[id!] = flags!;
}

function parseLine(line: string, number: number): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line, revive);
  } catch {
    throw badLog(number, 'got text that is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badLog(number, 'got a line that is no object');
  return value as Readonly<Record<string, unknown>>;
}

function checkHeader(entry: Readonly<Record<string, unknown>>): void {
  if (entry['kvcast'] !== 'decisions') throw badLog(1, 'got no header, expected {"kvcast":"decisions","v":1}');
  if (entry['v'] !== DECISION_LOG_VERSION) throw badLog(1, `got version ${String(entry['v'])}, expected ${DECISION_LOG_VERSION}`);
}

function badLog(line: number, message: string): UserError {
  return new UserError({ severity: 'error', code: 'E_LOG', line, message, hint: 'Expected the lines of a kvcast decision log' });
}

/**
 * JSON with sorted keys, without undefined members; typed arrays as arrays; what JSON lacks as {"$":"text"}. Equal values give equal text.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? String(value) : `{"$":"${Object.is(value, -0) ? '-0' : value}"}`;
    case 'bigint':
      return `{"$":"${value}n"}`;
    case 'string':
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      return 'null';
  }
  if (value === null) return 'null';
  if (ArrayBuffer.isView(value)) return `[${Array.from(value as unknown as ArrayLike<number | bigint>, canonicalJson).join(',')}]`;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`);
  }
  return `{${members.join(',')}}`;
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const text = (value as Record<string, unknown>)['$'];
  if (typeof text !== 'string') return value;
  return /^-?\d+n$/.test(text) ? BigInt(text.slice(0, -1)) : Number(text);
}
