/**
 * Speed of one jumping worker under agent-shaped load: `npx tsx sim/engine/jump/jump.bench.ts [requests] [load]`. Sessions whose prompts grow
 * turn by turn over a shared system prompt; arrivals are open, so the driver costs next to nothing.
 */
import { pathToFileURL } from 'node:url';
import { BRANCH_PRIVATE, BranchTable } from '../../../control/blocks.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { emptyLoadView } from '../empty-load-view.ts';
import type { EngineRequest, WorkerSink } from '../worker.ts';
import { AffineTimer, engineConfig } from '../worker-fixtures.ts';
import { JumpWorker } from './jump-worker.ts';

/** Shape of a load. */
export interface JumpLoad {
  readonly name: string;
  /** Requests per second. */
  readonly rate: number;
  readonly sessions: number;
  readonly turns: number;
  readonly startTokens: number;
  readonly turnTokens: number;
  readonly outputTokens: number;
  readonly kvTokens: number;
  /** Generated tokens are repeated by the next prompt, so that others may hit them. */
  readonly sharedOutput?: boolean;
}

/** What a load cost, in CPU time of the process. */
export interface JumpFigures {
  readonly name: string;
  readonly requestsPerS: number;
  readonly usPerRequest: number;
  readonly nsPerStep: number;
  readonly meanBatch: number;
  readonly stepsPerRequest: number;
  /** Full schedules and runs. */
  readonly schedulesPerRequest: number;
  /** Calls of `advance` that a calendar would make. */
  readonly wakesPerRequest: number;
  readonly segmentsPerRequest: number;
  readonly bytesPerCachedBlock: number;
  readonly hitShare: number;
  readonly preemptions: number;
}

const BLOCK_TOKENS = 64;

export const JUMP_LOADS: readonly JumpLoad[] = [
  { name: 'light', rate: 0.45, sessions: 40, turns: 40, startTokens: 8000, turnTokens: 900, outputTokens: 300, kvTokens: 1_600_000 },
  { name: 'medium', rate: 1.7, sessions: 60, turns: 40, startTokens: 8000, turnTokens: 900, outputTokens: 300, kvTokens: 1_600_000 },
  {
    name: 'medium, shared output',
    rate: 1.7,
    sessions: 60,
    turns: 40,
    startTokens: 8000,
    turnTokens: 900,
    outputTokens: 300,
    kvTokens: 1_600_000,
    sharedOutput: true,
  },
  { name: 'KV-bound', rate: 6, sessions: 200, turns: 20, startTokens: 5000, turnTokens: 800, outputTokens: 300, kvTokens: 440_000 },
];

/** Runs one load on one worker. */
export function jumpFigures(load: JumpLoad, requests: number): JumpFigures {
  const branches = new BranchTable();
  const arrivals = agentRequests(load, requests, branches);
  const worker = new JumpWorker({
    index: 0,
    config: engineConfig({
      blockTokens: BLOCK_TOKENS,
      blocks: Math.floor(load.kvTokens / BLOCK_TOKENS),
      maxBatchedTokens: 8192,
      maxSeqs: 256,
      maxModelLen: 131_072,
    }),
    branches,
    timer: new AffineTimer({ baseMs: 8, tokenMs: 0.02, kvMs: 2e-5 }),
    links: null,
    sink: new DeafSink(),
  });
  let wakes = 0;
  const start = process.cpuUsage();
  for (const request of arrivals) {
    while (worker.nextMs <= request.arrivalMs) {
      worker.advance(worker.nextMs, worker.nextClass);
      wakes++;
    }
    worker.submit(request, request.arrivalMs);
  }
  while (worker.nextMs < Number.POSITIVE_INFINITY) {
    worker.advance(worker.nextMs, worker.nextClass);
    wakes++;
  }
  worker.advance(Number.POSITIVE_INFINITY, EVENT_CLASS.observe);
  const used = process.cpuUsage(start);
  const ms = (used.user + used.system) / 1000;
  const { counters } = worker;
  const full = emptyLoadView();
  worker.loadView(0, full);
  return {
    name: load.name,
    requestsPerS: (requests / ms) * 1000,
    usPerRequest: (ms / requests) * 1000,
    nsPerStep: (ms / counters.steps) * 1e6,
    meanBatch: counters.decodeTokens / counters.steps,
    stepsPerRequest: counters.steps / requests,
    schedulesPerRequest: counters.events / requests,
    wakesPerRequest: wakes / requests,
    segmentsPerRequest: counters.segmentsTouched / requests,
    bytesPerCachedBlock: worker.kvBytes / full.kvCachedBlocks,
    hitShare: counters.hitHbmTokensFirst / counters.queryTokensFirst,
    preemptions: counters.preemptions,
  };
}

/** Requests in order of arrival. A session that is over is replaced by a new one. */
function agentRequests(load: JumpLoad, count: number, branches: BranchTable): EngineRequest[] {
  let state = 12345;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const system = branches.add(-1, 0, 40);
  const tokens = new Float64Array(load.sessions);
  const trunk = new Int32Array(load.sessions).fill(-1);
  const turns = new Int32Array(load.sessions);
  const requests: EngineRequest[] = [];
  let atMs = 0;
  for (let id = 0; id < count; id++) {
    atMs += (-Math.log(1 - next()) * 1000) / load.rate;
    const session = Math.floor(next() * load.sessions);
    if (trunk[session]! < 0 || turns[session] === load.turns) {
      tokens[session] = load.startTokens * (0.5 + next());
      trunk[session] = branches.add(system, 40, 0);
      turns[session] = 0;
    }
    turns[session]!++;
    const outputTokens = 1 + Math.floor(-Math.log(1 - next()) * load.outputTokens);
    const promptTokens = 2560 + Math.floor(tokens[session]!);
    const depth = Math.floor(promptTokens / BLOCK_TOKENS);
    const branch = trunk[session]!;
    if (branches.end(branch) < depth) branches.extend(branch, depth - branches.end(branch));
    const room = Math.ceil((promptTokens + outputTokens) / BLOCK_TOKENS) + 1;
    let leaf = branch;
    if (load.sharedOutput !== true) leaf = branches.addAt(branch, depth, room - depth, BRANCH_PRIVATE);
    else if (branches.end(branch) < room) branches.extend(branch, room - branches.end(branch));
    requests.push({ id, session, leaf, promptTokens, outputTokens, priority: 0, arrivalMs: atMs, stopsEarly: false });
    tokens[session]! += outputTokens + load.turnTokens * 2 * next();
  }
  return requests;
}

class DeafSink implements WorkerSink {
  matched(): void {}
  admitted(): void {}
  restoring(): void {}
  firstToken(): void {}
  tokenGaps(): void {}
  ended(): void {}
  preempted(): void {}
  kvEvents(): void {}
  settled(): void {}
  claimBroken(): void {}
  removed(): boolean {
    return true;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const requests = Number(process.argv[2] ?? 100_000);
  const only = process.argv[3];
  for (const load of JUMP_LOADS.filter((l) => only === undefined || l.name === only)) {
    jumpFigures(load, Math.min(requests, 20_000));
    const f = jumpFigures(load, requests);
    const round = (x: number): number => Number(x.toPrecision(3));
    const facts = Object.entries(f).map(([key, value]) => `${key} ${typeof value === 'number' ? round(value) : value}`);
    process.stdout.write(`${facts.join(', ')}\n`);
  }
}
