/**
 * The branches of a run as they would be if all tenants had one salt, beside those that it has. Read by judgements of misses only.
 *
 *     run, domain A    [1 2 3 4 5 6]        run, domain B    [1 2 3 30 31]         each in the order of its own prompts
 *                            └─3 [30 31]                           └─3 [4 5 6]
 *     unsalted         [1 2 3 4 5 6]
 *                            └─3 [30 31]
 *
 * A branch of the run knows the unsalted branch that owns its last block. All blocks before it lie on the path of that branch, at the same
 * depth, because a block names its whole prefix. Source: retention specification 13.2, 14.1.
 */
import { type BranchId, BranchTable, NO_BRANCH } from '../../control/blocks.ts';
import { grownSparse } from '../../control/sparse-growth.ts';
import type { Trace } from '../../traces/columns.ts';
import { PromptChains } from './prompt-chains.ts';
import { type SharedPrefix, SharedPrefixes } from './shared-prefixes.ts';
import type { UnsaltedBranches } from './workload.ts';
import type { WorkloadOptions } from './workload-options.ts';

/** Twins of the branches that more than one salt domain could name. With `scale.context` depths agree where shared prefixes have one length. */
export class UnsaltedChains implements UnsaltedBranches {
  readonly branches = new BranchTable();
  /** Prompts again, all in one domain; absent where ids mean something in their session only. */
  readonly #chains: PromptChains | undefined;
  readonly #shared: SharedPrefixes;
  /** Unsalted branch + 1 by branch of the run; 0 = none. */
  #twin = new Int32Array(256);
  /** Trie branch of each prompt of the current session, by request. */
  readonly #prompts = new Map<number, number>();

  constructor(trace: Trace, options: WorkloadOptions) {
    const chains = new PromptChains(trace, options, this.branches);
    this.#chains = trace.header.idScope === 'file' ? chains : undefined;
    this.#shared = new SharedPrefixes(this.branches, chains.ratio, this.#chains === undefined ? options.sharing : 'none');
  }

  /** The unsalted branch that owns the last block of a branch of the run; {@link NO_BRANCH}: no other tenant could ever name it. */
  of(branch: BranchId): BranchId {
    return branch < this.#twin.length ? this.#twin[branch]! - 1 : NO_BRANCH;
  }

  begin(): void {
    this.#prompts.clear();
    this.#chains?.begin(0);
  }

  /** A declared prefix of the run (see {@link SharedPrefixes.of}) has its twin. */
  share(salted: SharedPrefix, ...[model, toolTokens, systemTokens, fleet]: readonly [string, number, number, boolean]): void {
    const { branches } = this.#shared.of(0, model, toolTokens, systemTokens, fleet);
    for (const [i, branch] of salted.branches.entries()) this.#link(branch, branches[i]!);
  }

  /**
   * Inserts a prompt right after the run's chains did, which grew `branch` for it ({@link NO_BRANCH}: they knew the prompt). `joinsAnswer` = they
   * were asked to join the answer before it. Cost as {@link PromptChains.add}.
   */
  add(request: number, prefixTokens: number, branch: BranchId, joinsAnswer: boolean): void {
    const chains = this.#chains;
    if (chains === undefined) return;
    if (joinsAnswer) chains.joinAnswer(request, request - 1, this.#prompts.get(request - 1)!);
    const twin = chains.add(request, prefixTokens).branch;
    this.#prompts.set(request, twin);
    if (branch >= 0) this.#link(branch, chains.runBranch(twin));
  }

  #link(branch: BranchId, twin: BranchId): void {
    if (branch >= this.#twin.length) this.#twin = grownSparse(this.#twin, branch + 1);
    this.#twin[branch] = twin + 1;
  }
}
