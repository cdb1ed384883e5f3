/**
 * The simple model that proves a difference: per rank a set of held prefixes and a map of engine hashes that forgets nothing. It
 * shares no code with the product, and remembers what in a recording makes the upstream index answer differently.
 */
import type { RecordedBlock } from './live-index.ts';

interface ModelRank {
  readonly paths: Map<number, string>;
  readonly held: Set<string>;
}

/** Held prefixes per rank, exactly. Cost O(blocks of the rank) per removal. */
export class HeldModel {
  readonly #ranks = new Map<string, ModelRank>();
  readonly #names = new Map<string, number>();
  /** A block was removed, or its rank's name for it replaced, while the rank held blocks below it. */
  sawHole = false;
  /** Two ranks named one prefix differently, or one name stood for two prefixes. */
  sawEngineHash = false;
  /** A block was stored under a parent that the rank knew and did not hold. */
  sawTombstone = false;

  /** `parent` tells whether the parent was the root, held, a tombstone or unknown; an unknown one changes nothing. */
  stored(rank: string, parent: number | null, blocks: readonly RecordedBlock[]): 'root' | 'held' | 'tombstone' | 'unknown' | 'self' {
    const { paths, held } = this.#rank(rank);
    let path = parent === null ? '' : paths.get(parent);
    if (path === undefined) return 'unknown';
    if (parent !== null && blocks.some(([, ext]) => ext === parent)) return 'self';
    const kind = parent === null ? 'root' : held.has(path) ? 'held' : 'tombstone';
    if (kind === 'tombstone') this.sawTombstone = true;
    for (const [local, ext] of blocks) {
      path = `${path}/${local}`;
      const name = this.#names.get(path);
      if (name !== undefined && name !== ext) this.sawEngineHash = true;
      this.#names.set(path, ext);
      const before = paths.get(ext);
      if (before !== undefined && before !== path) held.delete(before);
      paths.set(ext, path);
      held.add(path);
    }
    return kind;
  }

  /** Whether every hash was `held`; else whether the others had at least been held `before`, or one is `unknown`. */
  removed(rank: string, hashes: readonly number[]): 'held' | 'before' | 'unknown' {
    const { paths, held } = this.#rank(rank);
    let found: 'held' | 'before' | 'unknown' = 'held';
    for (const hash of hashes) {
      const path = paths.get(hash);
      if (path === undefined) found = 'unknown';
      else if (!held.delete(path)) found = found === 'held' ? 'before' : found;
      else if (!this.sawHole) for (const other of held) if (other.startsWith(`${path}/`)) this.sawHole = true;
    }
    return found;
  }

  cleared(rank: string): void {
    this.#rank(rank).held.clear();
  }

  forget(isGone: (rank: string) => boolean): void {
    for (const rank of this.#ranks.keys()) if (isGone(rank)) this.#ranks.delete(rank);
  }

  /** Longest prefix of the query whose every block the rank holds. */
  score(rank: string, locals: readonly number[]): number {
    const held = this.#ranks.get(rank)?.held;
    let path = '';
    let score = 0;
    for (const local of locals) {
      path += `/${local}`;
      if (held?.has(path) !== true) break;
      score++;
    }
    return score;
  }

  #rank(rank: string): ModelRank {
    let known = this.#ranks.get(rank);
    if (known === undefined) this.#ranks.set(rank, (known = { paths: new Map(), held: new Set() }));
    return known;
  }
}
