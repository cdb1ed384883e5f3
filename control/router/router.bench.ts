/**
 * Microseconds per routing decision: dynamo-kv over fleets of 8, 64 and 512 ranks, prompts of 6,000 blocks, a system prompt that
 * every rank holds, sessions of five branches that one or two ranks hold. Source of the setting: data-structures specification 3, 8.
 */
import { BranchTable } from '../blocks.ts';
import { KV_STORED, KvEventBatch, type RouteRequest } from '../ports.ts';
import { routerPolicy } from './catalogue.ts';
import { rankFacts } from './router-fixture.ts';
import { ScoringRouter } from './scoring-router.ts';

/** One row of the benchmark. */
export interface RoutingBenchRow {
  readonly workers: number;
  /** Median of `decide` with argmin. */
  readonly microsPerDecision: number;
  /** Index and booking list entries read per decision. */
  readonly entriesWalked: number;
  /** Median of `decide` with softmax, T = 0.5. */
  readonly microsPerSoftmax: number;
  /** Mean of a whole turn: decide, book, first token, end. */
  readonly microsPerTurn: number;
}

const BLOCK_TOKENS = 64;
const SYSTEM_BLOCKS = 300;
const PROMPT_BLOCKS = 6000;
const BRANCHES_PER_SESSION = 5;
const DECISIONS = 4000;
/** Decisions timed as one sample; the clock is too coarse for one. */
const SAMPLE = 5;

/** Runs the benchmark, once before to warm up. Takes about two seconds. */
export function benchRouting(): RoutingBenchRow[] {
  measure();
  return measure();
}

function measure(): RoutingBenchRow[] {
  return [8, 64, 512].map((workers) => {
    const argmin = fleet(workers, 0);
    const walkedBefore = argmin.walked();
    const microsPerDecision = median(timeDecisions(argmin));
    const entriesWalked = (argmin.walked() - walkedBefore) / DECISIONS;
    const microsPerSoftmax = median(timeDecisions(fleet(workers, 0.5)));
    return { workers, microsPerDecision, entriesWalked, microsPerSoftmax, microsPerTurn: timeTurns(argmin) };
  });
}

interface Fleet {
  readonly router: ScoringRouter;
  readonly requests: readonly RouteRequest[];
  walked(): number;
}

function fleet(workers: number, T: number): Fleet {
  const branches = new BranchTable();
  const router = new ScoringRouter(routerPolicy('dynamo-kv@1', { T }), { branches, seed: 7 });
  for (let rank = 0; rank < workers; rank++) {
    router.worker({ rank, key: `w${String(rank).padStart(4, '0')}/0`, state: 'joined', epoch: 0, facts: rankFacts(BLOCK_TOKENS) });
    router.worker({ rank, state: 'ready', epoch: 0 });
  }
  const system = branches.add(-1, 0, SYSTEM_BLOCKS);
  for (let rank = 0; rank < workers; rank++) store(router, rank, system, SYSTEM_BLOCKS);
  const requests: RouteRequest[] = [];
  const sessions = workers * 16;
  let state = 1;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
  for (let session = 0; session < sessions; session++) {
    const home = next(workers);
    let parent = system;
    let at = SYSTEM_BLOCKS;
    const own = (PROMPT_BLOCKS - SYSTEM_BLOCKS) / BRANCHES_PER_SESSION;
    for (let b = 0; b < BRANCHES_PER_SESSION; b++) {
      parent = branches.add(parent, branches.length[parent]!, own);
      at += own;
      store(router, home, parent, own);
      if (b < 2 && session % 3 === 0) store(router, (home + 1) % workers, parent, own);
    }
    requests.push(request(session, parent, at));
  }
  // A fleet at work: half of the sessions have a request in flight, placed by the router itself.
  requests.slice(0, sessions >> 1).forEach((one, i) => {
    const rank = router.decide(one, 0);
    router.book(one, rank, 0);
    if (i % 4 !== 0) router.firstToken(one.attempt, 0);
  });
  const index = router.index as unknown as { entriesWalked: number };
  return {
    router,
    requests: requests.slice(sessions >> 1),
    walked: () => index.entriesWalked + router.bookings.entriesWalked + (router.scan?.entriesWalked ?? 0),
  };
}

function store(router: ScoringRouter, rank: number, branch: number, blocks: number): void {
  const batch = new KvEventBatch();
  batch.rank = rank;
  batch.push(KV_STORED, 0, branch, 0, blocks);
  router.kvEvents(batch, 0);
}

function request(session: number, branch: number, depthBlocks: number): RouteRequest {
  return {
    attempt: session,
    id: `${session}/0/1`,
    attemptNumber: 0,
    session,
    sessionKey: `s${session}`,
    tenant: 0,
    arrivalMs: 0,
    promptTokens: depthBlocks * BLOCK_TOKENS + 17,
    branch,
    depthBlocks,
  };
}

function timeDecisions({ router, requests }: Fleet): number[] {
  const samples: number[] = [];
  let at = 0;
  for (let round = 0; round < 2; round++) {
    samples.length = 0;
    for (let i = 0; i < DECISIONS / 2; i += SAMPLE) {
      const began = performance.now();
      for (let j = 0; j < SAMPLE; j++) {
        router.decide(requests[at]!, 1);
        at = at + 1 === requests.length ? 0 : at + 1;
      }
      samples.push(((performance.now() - began) * 1000) / SAMPLE);
    }
  }
  return samples;
}

function timeTurns({ router, requests }: Fleet): number {
  const began = performance.now();
  for (let i = 0; i < DECISIONS; i++) {
    const one = requests[i % requests.length]!;
    router.book(one, router.decide(one, 1), 1);
    router.firstToken(one.attempt, 2);
    router.ended(one.attempt);
  }
  return ((performance.now() - began) * 1000) / DECISIONS;
}

function median(samples: number[]): number {
  samples.sort((a, b) => a - b);
  return samples[samples.length >> 1]!;
}
