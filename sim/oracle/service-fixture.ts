/** Service records written by hand or drawn at random, for tests of oracles: small forests, two tokens per block. */
import fc from 'fast-check';
import { BRANCH_PRIVATE, BranchTable } from '../../control/blocks.ts';
import { SERVED, type ServiceRecords } from '../cluster/service-log.ts';

/** One served request: its prompt is the first `depth` blocks of the path of `branch` and one token more. */
export interface FixtureRequest {
  readonly branch: number;
  readonly depth: number;
}

/** One record; `request` numbers the requests in order of their first admission. */
export interface FixtureRecord {
  readonly kind: number;
  readonly request: number;
  readonly tMs: number;
  readonly worker?: number;
  readonly found?: number;
  readonly referenced?: number;
}

export const BLOCK_TOKENS = 2;
/** Tokens behind the blocks of a prompt: one that belongs to nobody else, and one of output. */
const TAIL = 1;
const OUTPUT = 1;

/** Columns of a table that holds the shared branches; a private branch per request is added. */
export function fixtureRecords(
  table: BranchTable,
  requests: readonly FixtureRequest[],
  script: readonly FixtureRecord[],
  usableBlocks: readonly number[],
  more: Partial<ServiceRecords> = {},
): ServiceRecords {
  const leaves = requests.map(({ branch, depth }) => table.addAt(branch, depth, 1, BRANCH_PRIVATE));
  return {
    blockTokens: BLOCK_TOKENS,
    usableBlocks: Int32Array.from(usableBlocks),
    hostBlocks: Int32Array.from(usableBlocks, () => 0),
    msPerToken: Float64Array.from(usableBlocks, () => 1),
    msPerPair: Float64Array.from(usableBlocks, () => 0.5),
    kind: Uint8Array.from(script, (s) => s.kind),
    worker: Int32Array.from(script, (s) => s.worker ?? 0),
    request: Int32Array.from(script, (s) => s.request),
    tMs: Float64Array.from(script, (s) => s.tMs),
    value: Int32Array.from(script, (s) => (s.kind === SERVED.finished ? OUTPUT : BLOCK_TOKENS * (s.found ?? 0))),
    referenced: Int32Array.from(script, (s) => s.referenced ?? -1),
    leaf: Int32Array.from(leaves),
    promptTokens: Int32Array.from(requests, (r) => r.depth * BLOCK_TOKENS + TAIL),
    outputTokens: Int32Array.from(requests, () => OUTPUT),
    submitMs: Float64Array.from(requests, (_, i) => script.find((s) => s.request === i)?.tMs ?? 0),
    branches: table,
    ...more,
  };
}

/** One request after another, each served before the next comes. */
export function serial(requests: number, stepMs = 10): FixtureRecord[] {
  return Array.from({ length: requests }, (_, i) => [
    { kind: SERVED.admitted, request: i, tMs: stepMs * i },
    { kind: SERVED.finished, request: i, tMs: stepMs * i + 1 },
  ]).flat();
}

/**
 * Forests of up to eight blocks, up to ten requests on one or two workers of which some overlap, some are preempted, aborted or lost;
 * room for the running requests and a few blocks more.
 */
export const randomService: fc.Arbitrary<ServiceRecords> = fc
  .record({
    branches: fc.array(fc.record({ parent: fc.nat(3), at: fc.nat(8), length: fc.integer({ min: 1, max: 3 }) }), {
      minLength: 2,
      maxLength: 4,
    }),
    requests: fc.array(fc.record({ branch: fc.nat(3), cut: fc.nat(2), worker: fc.nat(1) }), { minLength: 4, maxLength: 10 }),
    moves: fc.array(fc.record({ what: fc.nat(9), which: fc.nat(9) }), { minLength: 16, maxLength: 30 }),
    spare: fc.nat(2),
    workers: fc.constantFrom(1, 1, 2),
    overlap: fc.constantFrom(1, 1, 1, 2, 3),
  })
  .map(({ branches, requests, moves, spare, workers, overlap }) => {
    const table = new BranchTable();
    let blocks = 0;
    for (const [i, b] of branches.entries()) {
      const length = Math.min(b.length, 8 - blocks);
      if (length <= 0) break;
      blocks += length;
      const parent = b.parent < i ? b.parent : -1;
      table.addAt(parent, parent < 0 ? 0 : 1 + (b.at % table.end(parent)), length);
    }
    const shared = table.count;
    const served = requests.map((r) => {
      const branch = r.branch % shared;
      return { branch, depth: Math.max(1, table.end(branch) - r.cut), worker: r.worker % workers };
    });
    const script = scriptOf(served, moves, overlap);
    const longest = Math.max(...served.map((r) => r.depth + 1));
    return fixtureRecords(table, served, script, Array(workers).fill(overlap * longest + spare));
  });

/** Admissions in order; who runs makes progress, is preempted and comes back, or is lost as the moves say. */
function scriptOf(
  requests: readonly { readonly worker: number }[],
  moves: readonly { readonly what: number; readonly which: number }[],
  overlap: number,
): FixtureRecord[] {
  const script: FixtureRecord[] = [];
  const running: number[] = [];
  const preempted: number[] = [];
  let next = 0;
  const add = (kind: number, request: number): void => {
    script.push({ kind, request, tMs: 10 * script.length, worker: requests[request]!.worker });
  };
  const leave = (kind: number, at: number): number => {
    const [request] = running.splice(at, 1);
    add(kind, request!);
    return request!;
  };
  for (const { what, which } of moves) {
    const at = running.length === 0 ? -1 : which % running.length;
    if ((what <= 4 || at < 0) && running.length < overlap && next < requests.length) {
      running.push(next);
      add(SERVED.admitted, next++);
    } else if (at >= 0 && what <= 6) leave(SERVED.finished, at);
    else if (at >= 0 && what === 7) add(SERVED.firstToken, running[at]!);
    else if (at >= 0 && what === 8) preempted.push(leave(SERVED.left, at));
    else if (preempted.length > 0 && running.length < overlap) {
      running.push(preempted[0]!);
      add(SERVED.again, preempted.shift()!);
    } else if (at >= 0 && which === 9) leave(SERVED.lost, at);
  }
  while (running.length > 0) leave(SERVED.finished, 0);
  return script;
}
