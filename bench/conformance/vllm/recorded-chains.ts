/** Which blocks of a recording are equal: chain keys without collisions, and the same as branches for engines that know no keys. */
import { BRANCH_PRIVATE, BranchTable } from '../../../control/blocks.ts';
import type { RecordedRequest, RecordedScenario } from './vllm-recording.ts';

/** Branches of a recording. */
export interface RecordedBranches {
  readonly branches: BranchTable;
  /** Leaf branch per request: block i of the request is block i of its path. */
  readonly leaves: readonly number[];
}

/** Output tokens a request produces if nobody aborts it. */
export function outputTokensOf(request: RecordedRequest, maxModelLen: number): number {
  return Math.min(request.max_tokens, request.stop_at ?? Number.POSITIVE_INFINITY, maxModelLen - promptTokensOf(request));
}

/** Prompt tokens of a request. */
export function promptTokensOf(request: RecordedRequest): number {
  return request.prompt.reduce((sum, segment) => sum + segment[2], 0);
}

/**
 * Lays out the full blocks of prompts and outputs as branches: two requests share a block of a branch iff they share the prefix up to
 * it. What one request alone can match is private. Cost O(blocks of all requests).
 */
export function recordedBranches({ config, requests }: RecordedScenario): RecordedBranches {
  const branches = new BranchTable();
  const chains = new ChainKeys();
  const branchOf = new Map<number, number>();
  const users = new Map<number, number>();
  const leaves = requests.map((request) => {
    const tokens = promptTokensOf(request) + outputTokensOf(request, config.max_model_len);
    const count = Math.floor(tokens / config.block_size);
    const keyOf = chains.keysOf(request, config.block_size);
    let leaf = -1;
    let known = 0;
    while (known < count && branchOf.has(keyOf(known))) leaf = branchOf.get(keyOf(known++))!;
    if (known < count || count === 0) {
      leaf = branches.addAt(leaf, known, Math.max(count - known, 1));
      for (let i = known; i < count; i++) branchOf.set(keyOf(i), leaf);
    }
    for (let b = leaf; b >= 0; b = branches.parent[b]!) users.set(b, (users.get(b) ?? 0) + 1);
    return leaf;
  });
  for (const [branch, count] of users) if (count === 1) branches.flags[branch] = BRANCH_PRIVATE;
  return { branches, leaves };
}

/** Interns (parent key, tokens of the block) as integers: chain hashes without collisions. */
export class ChainKeys {
  readonly #keys = new Map<string, number>();

  /** Key of block i of prompt and output of a request. Throws behind the last token. */
  keysOf(recorded: RecordedRequest, blockTokens: number): (block: number) => number {
    const known: number[] = [];
    const prompt = recorded.prompt.reduce((sum, segment) => sum + segment[2], 0);
    const segments = [...recorded.prompt, [recorded.out, 0, recorded.max_tokens] as const];
    return (block) => {
      for (let i = known.length; i <= block; i++) {
        if ((i + 1) * blockTokens > prompt + recorded.max_tokens) throw new Error(`replay: block ${i} lies behind the last token`);
        const name = `${known[i - 1] ?? ''}|${describe(segments, i * blockTokens, blockTokens)}`;
        let key = this.#keys.get(name);
        if (key === undefined) {
          key = this.#keys.size;
          this.#keys.set(name, key);
        }
        known.push(key);
      }
      return known[block]!;
    };
  }
}

/** Canonical text of `count` tokens from `from` on: maximal runs of one stream. */
function describe(segments: readonly (readonly [number, number, number])[], from: number, count: number): string {
  const runs: [number, number, number][] = [];
  let at = 0;
  for (const [stream, start, length] of segments) {
    const first = Math.max(from, at);
    const last = Math.min(from + count, at + length);
    if (last > first) {
      const begin = start + first - at;
      const previous = runs.at(-1);
      if (previous !== undefined && previous[0] === stream && previous[1] + previous[2] === begin) previous[2] += last - first;
      else runs.push([stream, begin, last - first]);
    }
    at += length;
  }
  return runs.join(';');
}
