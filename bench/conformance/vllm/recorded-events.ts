/** KV events of a worker against recorded ones, which name blocks by numbers of first appearance. */
import type { BranchTable } from '../../../control/blocks.ts';
import type { Difference } from '../suite.ts';
import type { RecordedStep } from './vllm-recording.ts';
import { expandEvent } from './vllm-replay.ts';

/** A difference and when it happened. */
export interface Found {
  readonly tMs: number;
  readonly difference: Difference;
}

/** One published KV event. */
export interface BlockEvent {
  readonly tMs: number;
  readonly kind: 'S' | 'R' | 'C';
  readonly branch: number;
  readonly offset: number;
}

/** The same as recorded: `S1:2`, `R:4` or `C`. */
export interface RecordedEvent {
  readonly tMs: number;
  readonly text: string;
}

/** Published events of the recording, one per block; a reset without a step in flight is told at once. */
export function recordedEvents(
  steps: readonly RecordedStep[],
  { startMs, endMs }: { readonly startMs: readonly number[]; readonly endMs: readonly number[] },
): RecordedEvent[] {
  return steps.flatMap((step, i) =>
    (step.ev ?? []).flatMap(expandEvent).map((text) => ({ tMs: text === 'C' ? startMs[i]! : endMs[i]!, text })),
  );
}

/**
 * First difference in the order of events, or undefined. Inside neighbours of one kind, branch and publication the order is free (worker
 * port); which recorded number a new block has then follows from its parent. `untimed`: publications are not told apart.
 */
export function compareEvents(
  got: readonly BlockEvent[],
  expected: readonly RecordedEvent[],
  branches: BranchTable,
  untimed: boolean,
): Found | undefined {
  const names = new BlockNumbers(branches);
  let at = 0;
  for (let i = 0; i < got.length; ) {
    const first = got[i]!;
    let end = i + 1;
    while (end < got.length && isNeighbour(first, got[end]!)) end++;
    const group = got.slice(i, end);
    const recorded = expected.slice(at, at + group.length);
    const sameTimes = untimed || recorded.every(({ tMs }) => tMs === first.tMs);
    if (recorded.length < group.length || !sameTimes || !names.match(group, recorded)) {
      const told = group.map((event) => names.textOf(event));
      const texts = recorded.map(({ text }) => text);
      return foundAt(first.tMs, [first.tMs, ...told], recorded.length === 0 ? undefined : [recorded[0]!.tMs, ...texts]);
    }
    at += group.length;
    i = end;
  }
  const missing = expected[at];
  return missing === undefined ? undefined : foundAt(missing.tMs, undefined, [missing.tMs, missing.text]);
}

function isNeighbour(a: BlockEvent, b: BlockEvent): boolean {
  return a.tMs === b.tMs && a.kind === b.kind && a.branch === b.branch;
}

function foundAt(tMs: number, got: unknown, expected: unknown): Found {
  return { tMs, difference: { field: `events at ${tMs} ms`, got, expected } };
}

/** Recorded numbers of blocks, learnt from matched events. */
class BlockNumbers {
  readonly #branches: BranchTable;
  readonly #numbers = new Map<string, number>();

  constructor(branches: BranchTable) {
    this.#branches = branches;
  }

  /** The event as recorded; `?` for a block that has no number yet. */
  textOf({ kind, branch, offset }: BlockEvent): string {
    if (kind === 'C') return 'C';
    const own = this.#numberOf(branch, offset) ?? '?';
    return kind === 'R' ? `R:${own}` : `S${this.#parentOf(branch, offset)}:${own}`;
  }

  /** Whether the recorded events are those of the group in some order; learns the numbers of new blocks. */
  match(group: readonly BlockEvent[], recorded: readonly RecordedEvent[]): boolean {
    const left = [...group];
    for (const { text } of recorded) {
      const newest = /^(S[.0-9]+:)(\d+)$/.exec(text);
      let at = left.findIndex((event) => this.textOf(event) === text);
      if (at < 0 && newest?.[2] === String(this.#numbers.size)) {
        at = left.findIndex((event) => this.textOf(event) === `${newest[1]}?`);
        if (at >= 0) this.#numbers.set(nameOf(left[at]!.branch, left[at]!.offset), this.#numbers.size);
      }
      if (at < 0) return false;
      left.splice(at, 1);
    }
    return true;
  }

  #numberOf(branch: number, offset: number): number | undefined {
    return this.#numbers.get(nameOf(branch, offset));
  }

  /** Number of the block before it in its chain; `.` at the root. */
  #parentOf(branch: number, offset: number): number | string {
    if (offset > 0) return this.#numberOf(branch, offset - 1) ?? '?';
    const start = this.#branches.start[branch]!;
    const parent = this.#branches.at(branch, start);
    return parent < 0 ? '.' : (this.#numberOf(parent, start - this.#branches.start[parent]! - 1) ?? '?');
  }
}

function nameOf(branch: number, offset: number): string {
  return `${branch} ${offset}`;
}
