/**
 * Family indexer: stored, removed and cleared events of many ranks through engine-hash map, event feed and branch index. Where
 * upstream reports something else, the recorded `held` scores and {@link HeldModel} must both say what the product says, and the
 * recording must contain what the rule names.
 */
import { type CaseOutcome, type Difference, firstDifference } from '../suite.ts';
import { HeldModel } from './held-model.ts';
import { LiveIndex, type RecordedBlock } from './live-index.ts';

type Score = readonly [worker: number, rank: number, blocks: number];
type EventResult = 0 | 'parent_not_found' | 'invalid_sequence' | 'block_not_found';

/** One recorded scenario. */
export interface IndexerCase {
  readonly id: string;
  readonly ops: readonly (
    | readonly ['s', number, number, number | null, readonly RecordedBlock[], EventResult]
    | readonly ['r', number, number, readonly number[], EventResult]
    | readonly ['c', number, number, EventResult]
    | readonly ['W', number]
    | readonly ['R', number, number]
    | readonly ['q', readonly number[], readonly Score[], { readonly held?: readonly Score[] }?]
  )[];
}

/** Rules by which the family's cases may differ. */
export const INDEXER_RULES = {
  'held-after-holes':
    'after a block was removed from the middle of a chain upstream forgets blocks that the rank still holds, or remembers some that it lost; ' +
    'we credit exactly the longest prefix held, as recorded beside the answer and as a simple model says',
  'tombstone-parent':
    'a block stored under a parent that was removed keeps its place here and counts once the parent is back; upstream drops the event',
  'engine-hash-translation':
    'ranks name equal blocks differently; hashes are translated per rank here, so that the longest prefix held is known, as recorded beside the answer',
  'removed-twice':
    'removing a block again, after the rank lost it, is reported as block_not_found here; upstream may still know its name and report success; ' +
    'neither changes what the rank holds',
} as const;

type Rule = keyof typeof INDEXER_RULES;

/** Replays one scenario; the reported difference is the first unexplained one, or else the first. */
export function replayIndexer(recorded: IndexerCase): CaseOutcome {
  return new IndexerReplay().run(recorded);
}

class IndexerReplay {
  readonly #index = new LiveIndex();
  readonly #model = new HeldModel();
  #fields = 0;
  #first: (Difference & { readonly rule: Rule | undefined }) | undefined;

  run({ id, ops }: IndexerCase): CaseOutcome {
    for (const [i, op] of ops.entries()) this.#play(op, `op ${i}`);
    const fields = Math.max(1, this.#fields);
    if (this.#first === undefined) return { id, fields };
    const { rule, ...difference } = this.#first;
    return { id, fields, difference, ...(rule === undefined ? {} : { rule }) };
  }

  #play(op: IndexerCase['ops'][number], at: string): void {
    switch (op[0]) {
      case 's': {
        const [, worker, rank, parent, blocks, result] = op;
        const got = recordedResult(this.#index.stored(0, worker, rank, parent, blocks));
        const kind = this.#model.stored(`${worker}/${rank}`, parent, blocks);
        const modelled = kind === 'unknown' ? 'parent_not_found' : kind === 'self' ? 'invalid_sequence' : 0;
        const isExplained = got === modelled && result === 'parent_not_found';
        const rule = !isExplained ? undefined : kind === 'tombstone' ? 'tombstone-parent' : this.#rule();
        this.#compare(`${at} stored`, got, result, rule);
        break;
      }
      case 'r': {
        const [, worker, rank, hashes, result] = op;
        const got = recordedResult(this.#index.removed(0, worker, rank, hashes));
        const found = this.#model.removed(`${worker}/${rank}`, hashes);
        const isModelled = got === (found === 'held' ? 0 : 'block_not_found');
        const isTwice = found === 'before' && result === 0;
        this.#compare(`${at} removed`, got, result, !isModelled ? undefined : isTwice ? 'removed-twice' : this.#rule());
        break;
      }
      case 'c':
        this.#index.cleared(op[1], op[2]);
        this.#model.cleared(`${op[1]}/${op[2]}`);
        this.#compare(`${at} cleared`, 0, op[3], undefined);
        break;
      case 'W':
        this.#index.forget(this.#index.ranks.of(op[1]));
        this.#model.forget((rank) => rank.startsWith(`${op[1]}/`));
        break;
      case 'R':
        this.#index.forget([this.#index.ranks.id(op[1], op[2])]);
        this.#model.forget((rank) => rank === `${op[1]}/${op[2]}`);
        break;
      case 'q': {
        const [, locals, scores, extra] = op;
        const got = this.#scores(locals);
        const isHeld = extra?.held !== undefined && firstDifference('', got, extra.held) === undefined;
        const isModelled = got.every(([worker, rank, blocks]) => this.#model.score(`${worker}/${rank}`, locals) === blocks);
        this.#compare(`${at} scores`, got, scores, isHeld && isModelled ? this.#rule() : undefined);
        break;
      }
      default:
        this.#compare(at, 'a known operation', (op as readonly unknown[])[0], undefined);
    }
  }

  #scores(locals: readonly number[]): Score[] {
    const { hbm } = this.#index.match(locals);
    const { ranks } = this.#index;
    return ranks.sorted().flatMap((id) => (hbm[id]! > 0 ? [[...ranks.names[id]!, hbm[id]!] as Score] : []));
  }

  /** What in the recording so far makes upstream differ. */
  #rule(): Rule | undefined {
    const { sawEngineHash, sawHole, sawTombstone } = this.#model;
    return sawEngineHash ? 'engine-hash-translation' : sawHole ? 'held-after-holes' : sawTombstone ? 'tombstone-parent' : undefined;
  }

  #compare(field: string, got: unknown, expected: unknown, rule: Rule | undefined): void {
    this.#fields += Array.isArray(expected) ? Math.max(1, 3 * expected.length) : 1;
    const difference = firstDifference(field, got, expected);
    if (difference === undefined) return;
    if (this.#first === undefined || (this.#first.rule !== undefined && rule === undefined)) this.#first = { ...difference, rule };
  }
}

function recordedResult(result: 'ok' | Exclude<EventResult, 0>): EventResult {
  return result === 'ok' ? 0 : result;
}
