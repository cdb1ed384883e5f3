/**
 * The prompts of a trace as chains of engine blocks: the session trie plus what a run needs beyond it: declared shared prefixes,
 * `scale.context`, what earlier prompts of the session held, and where each branch lives in the run's branch table.
 *
 * Ids that mean something only inside their session give branches that every play creates anew (clones share nothing); ids that are
 * valid for the whole file give branches of the run's table directly. Source: trace specification 2.1, 2.2, 7.1, 7.3, 7.4.
 */
import type { BranchTable } from '../../control/blocks.ts';
import { MAX_PATH } from '../../control/blocks.ts';
import type { Trace } from '../../traces/columns.ts';
import { type BlockRatio, blockRatio, identifiedBlocks } from './block-size.ts';
import { type BranchTemplates, globalCode, widenedInt32 } from './columns.ts';
import { scaledPosition } from './session-plan.ts';
import { BRANCH_SHARED, type PromptRuns, SessionTrie } from './session-trie.ts';
import type { SharedPrefix } from './shared-prefixes.ts';
import type { WorkloadOptions } from './workload-options.ts';

/** Prefix length at which `scale.context` never bites: shared branches are not scaled. */
const UNSCALED = 2 ** 31 - 1;
/** Answer reuse needs this share of the previous prompt to be kept. Source: trace specification 7.1. */
const REUSE_KEPT = 0.98;

/** Result of {@link PromptChains.add}. Depths in engine blocks after scaling. */
export interface Chain {
  /** Trie branch that owns the last identified block, -1 = none. */
  branch: number;
  depthBlocks: number;
  /** Leading blocks that an earlier prompt of the session held. */
  seenBlocks: number;
  /** Ids of the whole file only: blocks of it were new, and they are the last ones of `branch`. */
  isNew: boolean;
}

/** Chains of the current session; {@link begin} starts the next one. */
export class PromptChains {
  readonly ratio: BlockRatio;
  /** Overwritten by every {@link add}. */
  readonly chain: Chain = { branch: -1, depthBlocks: 0, seenBlocks: 0, isNew: false };
  readonly #trace: Trace;
  readonly #global: BranchTable;
  readonly #trie: SessionTrie;
  readonly #prompt: PromptRuns;
  readonly #factor: number;
  readonly #padded: boolean;
  readonly #separateModels: boolean;
  readonly #fileScope: boolean;
  #domain = 0;
  /** Branch of the run's table behind a trie branch, -1 = created per play. Shape [trie branches], like the columns below. */
  #target = new Int32Array(256);
  /** Tokens before which `scale.context` does nothing, and the depth at which the branch starts after scaling. */
  #prefix = new Int32Array(256);
  #scaledStart = new Int32Array(256);
  /** Leading own blocks that a prompt of this session has used. */
  #used = new Int32Array(256);
  readonly #touched: number[] = [];
  /** Trie branch that stands for a shared branch of the run's table. */
  readonly #proxies = new Map<number, number>();
  readonly #path = new Int32Array(MAX_PATH);
  readonly #limit = new Int32Array(MAX_PATH);

  constructor(trace: Trace, options: WorkloadOptions, branches: BranchTable) {
    this.ratio = blockRatio(trace.header.blockTokens, options.blockTokens);
    this.#trace = trace;
    this.#global = branches;
    this.#trie = new SessionTrie(this.ratio);
    this.#prompt = { first: trace.runFirst, last: trace.runLast, from: 0, to: 0 };
    this.#factor = options.scaleContext;
    this.#padded = options.partialTail === 'padded';
    this.#separateModels = options.modelIdentity === 'separate';
    this.#fileScope = trace.header.idScope === 'file';
  }

  /** Starts a session under the salt of `domain`: session-local ids are forgotten, file-wide ids stay. */
  begin(domain: number): void {
    for (const b of this.#touched) this.#used[b] = 0;
    this.#touched.length = 0;
    this.#domain = domain;
    if (this.#fileScope) return;
    this.#trie.clear();
    this.#proxies.clear();
  }

  /**
   * Declares leading blocks of a request to be those of shared branches. By id: whoever repeats these ids shares them too. Ids that an
   * agent before it declared to be something else end the declaration, because ids are chained.
   */
  share(request: number, prefix: SharedPrefix): void {
    const units = this.#point(request, this.#identified(request));
    let from = 0;
    let parent = -1;
    for (let i = 0; i < prefix.branches.length && from < units; i++) {
      const to = Math.min(units, from + prefix.units[i]!);
      parent = this.#proxy(prefix.branches[i]!, prefix.units[i]! * this.ratio.blocksPerUnit, parent);
      if (this.#trie.alias(this.#space(request), this.#prompt, from, to, parent, 0) < to) return;
      from = to;
    }
  }

  /** Inserts the prompt of a request, in the order in which requests happened; `prefixTokens` = what `scale.context` leaves alone. */
  add(request: number, prefixTokens: number): Chain {
    const trie = this.#trie;
    const depth = this.#identified(request);
    const units = this.#point(request, depth);
    const before = trie.table.count;
    const branch = trie.insert(this.#space(request), this.#prompt, units);
    if (trie.table.count > before) this.#note(before, prefixTokens);
    this.chain.isNew = this.#fileScope && this.#publish(before);
    this.chain.branch = branch;
    this.chain.depthBlocks = branch < 0 ? 0 : this.#scaledAt(branch, depth);
    this.chain.seenBlocks = branch < 0 ? 0 : this.#use(branch, depth);
    return this.chain;
  }

  /**
   * Answer reuse, before `request` is added: if it keeps nearly all of its predecessor's prompt (branch `old`), the ids that replaced
   * the last blocks of that prompt are declared equal to them. Returns whether prompt and answer are taken to be repeated; not so where the
   * prompt returns to an older branch instead.
   */
  joinAnswer(request: number, previous: number, old: number): boolean {
    const { inTokens } = this.#trace.request;
    if (old < 0 || inTokens[request]! < inTokens[previous]!) return false;
    const perUnit = this.ratio.blocksPerUnit;
    const { table } = this.#trie;
    const space = this.#space(request);
    const oldBlocks = this.#identified(previous);
    const units = this.#point(request, this.#identified(request));
    const known = this.#trie.knownUnits(space, this.#prompt, units);
    if (known === 0) return false;
    // All of these units are known, so this insertion only looks up where they end.
    const end = this.#trie.insert(space, this.#prompt, known);
    const kept = Math.floor(table.commonDepth(end, known * perUnit, old, oldBlocks) / perUnit);
    const oldUnits = Math.ceil(oldBlocks / perUnit);
    if (kept < REUSE_KEPT * oldUnits) return false;
    for (let u = kept; u < Math.min(units, oldUnits); u++) {
      const owner = table.at(old, (u + 1) * perUnit);
      if (this.#trie.alias(space, this.#prompt, u, u + 1, owner, u - table.start[owner]! / perUnit) === u) return false;
    }
    return true;
  }

  /** Trie branch on the path of `branch` that owns block `depthBlocks - 1` (scaled), -1 = none. */
  ownerAt(branch: number, depthBlocks: number): number {
    let owner = branch;
    while (owner >= 0 && this.#scaledStart[owner]! >= depthBlocks) owner = this.#trie.table.parent[owner]!;
    return owner;
  }

  /** Depth at which a branch starts, scaled; 0 for no branch. */
  startOf(branch: number): number {
    return branch < 0 ? 0 : this.#scaledStart[branch]!;
  }

  /** Branch of the run's table behind a trie branch; -1 = none, or created per play. */
  runBranch(branch: number): number {
    return branch < 0 ? -1 : this.#target[branch]!;
  }

  /** Appends the branches that every play creates to `rows`, and returns the code of each trie branch (see TurnTemplates). */
  encode(rows: BranchTemplates): (branch: number) => number {
    if (this.#fileScope) return (branch) => (branch < 0 ? -1 : globalCode(this.#target[branch]!));
    const { table } = this.#trie;
    const code = new Int32Array(table.count);
    const base = rows.count;
    rows.reserve(table.count);
    for (let b = 0; b < table.count; b++) {
      const target = this.#target[b]!;
      if (target >= 0) {
        code[b] = globalCode(target);
        continue;
      }
      const row = rows.count++;
      const parent = table.parent[b]!;
      rows.parent[row] = parent < 0 ? -1 : code[parent]!;
      rows.attach[row] = this.#scaledStart[b]! - this.startOf(parent);
      rows.length[row] = this.#scaledLength(b);
      code[b] = row - base;
    }
    return (branch) => (branch < 0 ? -1 : code[branch]!);
  }

  #proxy(shared: number, blocks: number, parent: number): number {
    const { table } = this.#trie;
    let proxy = this.#proxies.get(shared);
    if (proxy === undefined) {
      proxy = table.add(parent, parent < 0 ? 0 : table.length[parent]!, blocks, BRANCH_SHARED);
      this.#proxies.set(shared, proxy);
      this.#note(proxy, UNSCALED);
      this.#target[proxy] = shared;
    }
    // The fleet prefix may be longer for another agent.
    if (blocks > table.length[proxy]!) table.extend(proxy, blocks - table.length[proxy]!);
    return proxy;
  }

  #note(branch: number, prefixTokens: number): void {
    this.#reserve(branch + 1);
    const { table } = this.#trie;
    const parent = table.parent[branch]!;
    this.#target[branch] = -1;
    this.#used[branch] = 0;
    this.#prefix[branch] = prefixTokens;
    this.#scaledStart[branch] = parent < 0 ? 0 : this.#scaledAt(parent, table.start[branch]!);
  }

  /** File scope: creates new trie branches in the run's table and lengthens those that grew. Returns whether there were any. */
  #publish(before: number): boolean {
    const { table } = this.#trie;
    const extended = this.#trie.takeExtended();
    for (let b = before; b < table.count; b++) {
      const parent = table.parent[b]!;
      const attach = this.#scaledStart[b]! - this.startOf(parent);
      this.#target[b] = this.#global.add(parent < 0 ? -1 : this.#target[parent]!, attach, this.#scaledLength(b));
    }
    for (const b of extended) {
      const target = this.#target[b]!;
      this.#global.extend(target, this.#scaledLength(b) - this.#global.length[target]!);
    }
    return table.count > before || extended.length > 0;
  }

  /** Scaled blocks of the chain (branch, depth) that earlier prompts of this session held; from now on all of it is held. */
  #use(branch: number, depth: number): number {
    const n = this.#trie.table.path(branch, depth, this.#path, this.#limit);
    let seen = -1;
    for (let i = 0; i < n; i++) {
      const b = this.#path[i]!;
      const used = this.#used[b]!;
      if (used >= this.#limit[i]!) continue;
      if (seen < 0) seen = this.#scaledAt(b, this.#trie.table.start[b]! + used);
      if (used === 0) this.#touched.push(b);
      this.#used[b] = this.#limit[i]!;
    }
    return seen < 0 ? this.#scaledAt(branch, depth) : seen;
  }

  /** Trie depth inside branch b -> depth after `scale.context`. */
  #scaledAt(b: number, depth: number): number {
    if (this.#factor === 1) return depth;
    const e = this.ratio.engineBlockTokens;
    const start = this.#trie.table.start[b]!;
    const blocks = (d: number) => Math.floor(scaledPosition(d * e, this.#prefix[b]!, this.#factor) / e);
    return this.#scaledStart[b]! + blocks(depth) - blocks(start);
  }

  #scaledLength(b: number): number {
    return this.#scaledAt(b, this.#trie.table.end(b)) - this.#scaledStart[b]!;
  }

  /** Points the prompt cursor at a request and returns the units that its first `blocks` blocks touch. */
  #point(request: number, blocks: number): number {
    this.#prompt.from = this.#trace.request.runFrom[request]!;
    this.#prompt.to = this.#trace.request.runFrom[request + 1]!;
    return Math.ceil(blocks / this.ratio.blocksPerUnit);
  }

  /** Identified engine blocks of a request before scaling. */
  #identified(request: number): number {
    const { runFirst, runLast } = this.#trace;
    const { runFrom, inTokens } = this.#trace.request;
    let ids = 0;
    for (let i = runFrom[request]!; i < runFrom[request + 1]!; i++) ids += runLast[i]! - runFirst[i]! + 1;
    const tokens = inTokens[request]!;
    return identifiedBlocks(this.ratio, this.#padded ? Math.max(tokens, ids * this.ratio.traceBlockTokens) : tokens, ids);
  }

  /** Namespace of a request's ids inside the trie: model, and salt domain where the trie spans sessions. */
  #space(request: number): number {
    const model = this.#separateModels ? this.#trace.request.model[request]! : 0;
    return (this.#fileScope ? this.#domain : 0) * this.#trace.strings.length + model;
  }

  #reserve(count: number): void {
    if (count <= this.#used.length) return;
    const size = Math.max(count, this.#used.length * 2);
    this.#target = widenedInt32(this.#target, size);
    this.#prefix = widenedInt32(this.#prefix, size);
    this.#scaledStart = widenedInt32(this.#scaledStart, size);
    this.#used = widenedInt32(this.#used, size);
  }
}
