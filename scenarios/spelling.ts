/** Did-you-mean: nearest names by Damerau-Levenshtein distance. Source: experiments specification 1.5. */

/** Edits (insert, delete, replace, swap of neighbours) between two words; optimal string alignment. Cost O(|a|·|b|). */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const rows = Array.from({ length: a.length + 1 }, (_, i) => new Int32Array(width).fill(i));
  for (let j = 0; j < width; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      rows[i]![j] = best;
    }
  }
  return rows[a.length]![b.length]!;
}

/** The best three names within max(1, floor(length / 3)) edits; ties alphabetical. */
export function nearest(word: string, names: Iterable<string>): string[] {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const found: { name: string; distance: number }[] = [];
  for (const name of new Set(names)) {
    if (Math.abs(name.length - word.length) > limit) continue;
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance <= limit) found.push({ name, distance });
  }
  found.sort((x, y) => x.distance - y.distance || (x.name < y.name ? -1 : 1));
  return found.slice(0, 3).map((entry) => entry.name);
}

/** `Did you mean "a" or "b"?` with the nearest names that are equally near, undefined when nothing is. */
export function didYouMean(word: string, names: Iterable<string>): string | undefined {
  const found = nearest(word, names);
  const distance = (name: string) => editDistance(word.toLowerCase(), name.toLowerCase());
  const best = found.filter((name) => distance(name) === distance(found[0]!));
  return best.length === 0 ? undefined : `Did you mean ${orList(best.map((name) => `"${name}"`))}?`;
}

/** `a, b or c`. */
export function orList(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} or ${items[items.length - 1]}`;
}
