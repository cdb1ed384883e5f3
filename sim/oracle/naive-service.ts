/**
 * The oracles' problem block by block, as plainly as possible: every set of idle blocks that a cache could hold after every record.
 * Exponential; for forests of a few blocks. The oracles are held equal to this.
 */
import { BRANCH_PRIVATE, BranchTable } from '../../control/blocks.ts';
import { SERVED, type ServiceRecords } from '../cluster/service-log.ts';

/** What a cache may do: keep any blocks, or only those whose parents it has; hit any block, or only a prefix. */
export interface NaiveRules {
  readonly closed: boolean;
  readonly prefixHits: boolean;
}

/** Worth of a block hit at a depth. */
export type BlockValue = (depth: number) => number;

/** A block of the forest as seen block by block. */
interface Block {
  readonly depth: number;
  /** Index of the parent block, -1 at the root. */
  readonly parent: number;
}

/** Blocks of every request's path, shared ones numbered, private ones as -1. */
class NaiveForest {
  readonly blocks: Block[] = [];
  readonly #ids = new Map<string, number>();
  readonly #table: BranchTable;
  readonly #records: ServiceRecords;

  constructor(records: ServiceRecords) {
    this.#records = records;
    this.#table = Object.assign(new BranchTable(), records.branches);
  }

  /** Names of the blocks of a request, root first; private ones get a name of their own. */
  chain(request: number): { readonly id: number; readonly name: string }[] {
    const { leaf, promptTokens, outputTokens, blockTokens } = this.#records;
    const depth = Math.ceil((promptTokens[request]! + outputTokens[request]!) / blockTokens);
    const whole = Math.floor((promptTokens[request]! + outputTokens[request]!) / blockTokens);
    const out: { id: number; name: string }[] = [];
    for (let d = 1; d <= depth; d++) {
      const b = this.#table.at(leaf[request]!, d);
      const name = `${b}/${d}`;
      const isPrivate = (this.#table.flags[b]! & BRANCH_PRIVATE) !== 0 || d > whole;
      out.push({ id: isPrivate ? -1 : this.#idOf(name, d - 1, out[d - 2]?.id ?? -1), name });
    }
    return out;
  }

  #idOf(name: string, depth: number, parent: number): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.blocks.push({ depth, parent }) - 1;
      this.#ids.set(name, id);
    }
    return id;
  }
}

/** Best total worth of counted hits over all ways to run the caches of one worker, or of all as one (`worker` = null). */
export function naiveOptimum(
  records: ServiceRecords,
  worker: number | null,
  rules: NaiveRules,
  value: BlockValue = () => 1,
  fromMs = 0,
): number {
  const forest = new NaiveForest(records);
  const capacityOf = (blocks: Int32Array): number => (worker === null ? blocks.reduce((a, b) => a + b, 0) : blocks[worker]!);
  const capacity = capacityOf(records.usableBlocks) + capacityOf(records.hostBlocks);
  const running = new Map<number, { chain: ReturnType<NaiveForest['chain']>; heldTokens: number }>();
  let states = new Map<number, number>([[0, 0]]);
  const inUse = (): number => {
    let mask = 0;
    for (const r of running.values()) for (const { id } of r.chain) if (id >= 0) mask |= 1 << id;
    return mask;
  };
  const room = (): number => {
    const held = new Set<string>();
    for (const r of running.values()) {
      const blocks = Math.ceil(r.heldTokens / records.blockTokens);
      for (const { name } of r.chain.slice(0, blocks)) held.add(name);
    }
    return Math.max(0, capacity - held.size);
  };
  for (let i = 0; i < records.kind.length; i++) {
    if (worker !== null && records.worker[i] !== worker) continue;
    const kind = records.kind[i]!;
    const request = records.request[i]!;
    const prompt = records.promptTokens[request]!;
    if (kind <= SERVED.again) {
      const chain = forest.chain(request);
      const counts = kind === SERVED.admitted && records.submitMs[request]! >= fromMs;
      const most = counts ? Math.floor((prompt - 1) / records.blockTokens) : 0;
      const before = inUse();
      running.set(request, { chain, heldTokens: Math.min(records.value[i]!, prompt - 1) + 1 });
      const now = inUse();
      states = transform(states, (state, worth) => {
        let sum = worth;
        for (const { id } of chain.slice(0, most)) {
          const there = id >= 0 && ((state | before) & (1 << id)) !== 0;
          if (there) sum += value(forest.blocks[id]!.depth);
          else if (rules.prefixHits) break;
        }
        return [state & ~now, sum];
      });
    } else if (running.has(request)) {
      const entry = running.get(request)!;
      if (kind === SERVED.firstToken) entry.heldTokens = Math.max(entry.heldTokens, prompt);
      else {
        if (kind === SERVED.finished) {
          entry.heldTokens = Math.max(entry.heldTokens, prompt + Math.max(1, records.value[i]!) - 1);
          states = shrink(states, room(), inUse(), forest.blocks, rules.closed);
        }
        const before = inUse();
        running.delete(request);
        const released = before & ~inUse();
        states = transform(states, (state, worth) => [state | released, worth]);
      }
    }
    const limit = kind === SERVED.lost && worker !== null ? 0 : room();
    states = shrink(states, limit, inUse(), forest.blocks, rules.closed);
  }
  return Math.max(...states.values());
}

/** What one record does to the blocks of a stream, by block number. */
interface NaiveStep {
  /** Blocks that an admission uses, and those among them that would count as hits, root first. */
  readonly uses: readonly number[];
  readonly counted: readonly number[];
  readonly inUse: ReadonlySet<number>;
  readonly before: number;
  readonly after: number;
}

/** Prefill worth saved by giving up, whenever room is short, the leaf with the largest distance to its next use per worth. */
export function naiveCostAware(records: ServiceRecords, worker: number | null, value: BlockValue): number {
  const forest = new NaiveForest(records);
  const steps = naiveSteps(records, worker, forest);
  const kept = new Map<number, number>();
  let worth = 0;
  const nextUse = (id: number, m: number): number => {
    const next = steps.findIndex((s, k) => k > m && s.uses.includes(id));
    return next >= 0 && steps[next]!.counted.includes(id) ? next : Number.POSITIVE_INFINITY;
  };
  const isLeaf = (id: number): boolean => {
    for (const other of kept.keys())
      for (let up = forest.blocks[other]!.parent; up >= 0; up = forest.blocks[up]!.parent) if (up === id) return false;
    return true;
  };
  const shrink = (m: number, room: number): void => {
    while (kept.size > room) {
      const ratio = (id: number): number => (kept.get(id)! - m) / value(forest.blocks[id]!.depth);
      const leaves = [...kept.keys()].filter(isLeaf);
      kept.delete(
        leaves.reduce((a, b) => {
          const more = ratio(b) - ratio(a);
          return more > 0 || (more === 0 && forest.blocks[b]!.depth > forest.blocks[a]!.depth) ? b : a;
        }),
      );
    }
  };
  let inUse: ReadonlySet<number> = new Set();
  steps.forEach((step, m) => {
    shrink(m, step.before);
    for (const id of step.counted) if (inUse.has(id) || kept.has(id)) worth += value(forest.blocks[id]!.depth);
    for (const id of step.uses) kept.delete(id);
    for (const id of inUse)
      if (!step.inUse.has(id)) {
        const next = nextUse(id, m);
        if (Number.isFinite(next)) kept.set(id, next);
      }
    ({ inUse } = step);
    shrink(m, step.after);
  });
  return worth;
}

function naiveSteps(records: ServiceRecords, worker: number | null, forest: NaiveForest): NaiveStep[] {
  const capacityOf = (blocks: Int32Array): number => (worker === null ? blocks.reduce((a, b) => a + b, 0) : blocks[worker]!);
  const capacity = capacityOf(records.usableBlocks) + capacityOf(records.hostBlocks);
  const running = new Map<number, { chain: ReturnType<NaiveForest['chain']>; heldTokens: number }>();
  const room = (): number => {
    const held = new Set(
      [...running.values()].flatMap((r) => r.chain.slice(0, Math.ceil(r.heldTokens / records.blockTokens)).map((b) => b.name)),
    );
    return Math.max(0, capacity - held.size);
  };
  const steps: NaiveStep[] = [];
  for (let i = 0; i < records.kind.length; i++) {
    if (worker !== null && records.worker[i] !== worker) continue;
    const kind = records.kind[i]!;
    const request = records.request[i]!;
    const prompt = records.promptTokens[request]!;
    let uses: number[] = [];
    let most = 0;
    let before = Number.POSITIVE_INFINITY;
    const entry = running.get(request);
    if (kind <= SERVED.again) {
      const chain = forest.chain(request);
      uses = chain.filter((b) => b.id >= 0).map((b) => b.id);
      most = kind === SERVED.admitted ? Math.floor((prompt - 1) / records.blockTokens) : 0;
      running.set(request, { chain, heldTokens: Math.min(records.value[i]!, prompt - 1) + 1 });
    } else if (entry !== undefined) {
      if (kind === SERVED.firstToken) entry.heldTokens = Math.max(entry.heldTokens, prompt);
      else {
        if (kind === SERVED.finished) {
          entry.heldTokens = Math.max(entry.heldTokens, prompt + Math.max(1, records.value[i]!) - 1);
          before = room();
        }
        running.delete(request);
      }
    }
    const inUse = new Set([...running.values()].flatMap((r) => r.chain.filter((b) => b.id >= 0).map((b) => b.id)));
    steps.push({ uses, counted: uses.slice(0, most), inUse, before, after: kind === SERVED.lost && worker !== null ? 0 : room() });
  }
  return steps;
}

function transform(states: Map<number, number>, step: (state: number, worth: number) => [number, number]): Map<number, number> {
  const out = new Map<number, number>();
  for (const [state, worth] of states) {
    const [next, sum] = step(state, worth);
    if ((out.get(next) ?? Number.NEGATIVE_INFINITY) < sum) out.set(next, sum);
  }
  return out;
}

/** Every way to give up just enough blocks. */
function shrink(states: Map<number, number>, room: number, inUse: number, blocks: readonly Block[], closed: boolean): Map<number, number> {
  const out = new Map<number, number>();
  const put = (state: number, worth: number): void => {
    if ((out.get(state) ?? Number.NEGATIVE_INFINITY) < worth) out.set(state, worth);
  };
  for (const [state, worth] of states) {
    const size = bits(state);
    if (size <= room) {
      put(state, worth);
      continue;
    }
    for (let kept = state; ; kept = (kept - 1) & state) {
      if (bits(kept) === room && (!closed || isClosed(kept | inUse, blocks))) put(kept, worth);
      if (kept === 0) break;
    }
  }
  return out;
}

function isClosed(state: number, blocks: readonly Block[]): boolean {
  return blocks.every((b, i) => (state & (1 << i)) === 0 || b.parent < 0 || (state & (1 << b.parent)) !== 0);
}

function bits(mask: number): number {
  let n = 0;
  for (let m = mask; m !== 0; m &= m - 1) n++;
  return n;
}
