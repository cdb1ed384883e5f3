/** Growable columns behind the contract of workload.ts: full columns are replaced by copies of twice the length. Turns: played-turns.ts. */
import type { Agents, Plays } from './workload.ts';

type Column = Int32Array | Uint8Array | Float64Array;

/** Rows of typed arrays that grow together. Subclasses list their columns as fields. */
abstract class Columns {
  count = 0;
  protected abstract readonly names: readonly string[];

  /** Makes room for `more` further rows. Cost O(1) amortised per row. Replaces the columns when it grows them. */
  reserve(more: number): void {
    const columns = this as unknown as Record<string, Column>;
    const need = this.count + more;
    const capacity = columns[this.names[0]!]!.length;
    if (need <= capacity) return;
    const size = Math.max(need, capacity * 2);
    for (const name of this.names) columns[name] = widened(columns[name]!, size, this.count);
  }
}

const FIRST_ROWS = 256;
const int32 = () => new Int32Array(FIRST_ROWS);
const uint8 = () => new Uint8Array(FIRST_ROWS);
const float64 = () => new Float64Array(FIRST_ROWS);

/** Columns of {@link Agents}. */
export class AgentColumns extends Columns implements Agents {
  play = int32();
  parent = int32();
  turnFrom = int32();
  turnTo = int32();
  spawnAfter = int32();
  spawnOn = uint8();
  spawnDelayMs = float64();
  joinBefore = int32();
  joinDelayMs = float64();
  firstTurn = int32();
  firstDelayMs = float64();
  source = int32();
  protected readonly names = [
    'play',
    'parent',
    'turnFrom',
    'turnTo',
    'spawnAfter',
    'spawnOn',
    'spawnDelayMs',
    'joinBefore',
    'joinDelayMs',
    'firstTurn',
    'firstDelayMs',
    'source',
  ];
}

/** Columns of {@link Plays}, and where the turns, template rows and own branches of a play begin. */
export class PlayColumns extends Columns implements Plays {
  session = int32();
  agentFrom = int32();
  agentTo = int32();
  tenant = int32();
  priority = int32();
  slot = int32();
  ordinal = int32();
  startMs = float64();
  sendsHints = uint8();
  turnFrom = int32();
  templateFrom = int32();
  branchFrom = int32();
  protected readonly names = [
    'session',
    'agentFrom',
    'agentTo',
    'tenant',
    'priority',
    'slot',
    'ordinal',
    'startMs',
    'sendsHints',
    'turnFrom',
    'templateFrom',
    'branchFrom',
  ];
}

/**
 * What a session's turns look like before they belong to a play. `agent` and `parent`-like ids count from the template's first agent
 * or turn. `branch` and `leafParent` are codes: >= 0 own branch of the play, counted from its first; -1 none; below, see {@link globalCode}.
 */
export class TurnTemplates extends Columns {
  agent = int32();
  promptTokens = int32();
  outputTokens = int32();
  /** As the mode reads it, and after scale and cap. */
  readPauseMs = float64();
  pauseMs = float64();
  pauseKind = uint8();
  turnClass = uint8();
  stop = uint8();
  branch = int32();
  depthBlocks = int32();
  leafParent = int32();
  leafAttach = int32();
  leafLength = int32();
  reusableTokens = int32();
  edges = uint8();
  request = int32();
  protected readonly names = [
    'agent',
    'promptTokens',
    'outputTokens',
    'readPauseMs',
    'pauseMs',
    'pauseKind',
    'turnClass',
    'stop',
    'branch',
    'depthBlocks',
    'leafParent',
    'leafAttach',
    'leafLength',
    'reusableTokens',
    'edges',
    'request',
  ];
}

/** Agents of a template; ids count from the template's first agent and turn. */
export class AgentTemplates extends Columns {
  parent = int32();
  turnFrom = int32();
  turnTo = int32();
  spawnAfter = int32();
  joinBefore = int32();
  source = int32();
  protected readonly names = ['parent', 'turnFrom', 'turnTo', 'spawnAfter', 'joinBefore', 'source'];
}

/** Own branches of a template, parents first; `parent` is a code as in {@link TurnTemplates}. */
export class BranchTemplates extends Columns {
  parent = int32();
  attach = int32();
  length = int32();
  protected readonly names = ['parent', 'attach', 'length'];
}

/** Code of a branch that exists in the run's table already (shared prefix, or file-wide ids). Its own inverse. */
export function globalCode(branch: number): number {
  return -2 - branch;
}

/** Copy of a column with room for `size` entries. */
export function widenedInt32(column: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const wide = new Int32Array(size);
  wide.set(column);
  return wide;
}

function widened(column: Column, size: number, used: number): Column {
  const wide = new (column.constructor as new (size: number) => Column)(size);
  wide.set(column.subarray(0, used));
  return wide;
}
