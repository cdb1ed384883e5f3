/** How each program is asked for one workload, and how its answer is read. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChainFile, PeerInputs } from './peer-inputs.ts';

/** A trace on a fleet. */
export interface PeerWorkload {
  readonly name: string;
  readonly trace: 'mooncake' | 'agents';
  readonly workers: number;
  readonly requests: number;
}

export const WORKLOADS: readonly PeerWorkload[] = [
  { name: 'Mooncake conversation, 8 workers', trace: 'mooncake', workers: 8, requests: 12_031 },
  { name: 'agents (weka_dev), 8 workers', trace: 'agents', workers: 8, requests: 9517 },
  { name: 'agents (weka_dev), 64 workers', trace: 'agents', workers: 64, requests: 9517 },
];

/** Tokens a block holds; 16,384 blocks a worker in every program. */
const BLOCK_TOKENS = { mooncake: 512, agents: 64 } as const;
const BLOCKS = 16_384;
/** KV bytes of a token of the model that inference-lab is given, bf16: 94 layers x 4 heads x 128 x 2 x 2 B. */
const TOKEN_BYTES = 192_512;

/** What a program counted itself. */
export interface Answer {
  readonly requests: number | null;
  /** Share of prompt tokens found in cache; null = not reported like this. */
  readonly hitShare: number | null;
  /** Wall seconds of the event loop alone, where the program reports them. */
  readonly loopS?: number;
}

/** One command to measure. */
export interface Invocation {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Seconds after which it is ended. */
  readonly limitS: number;
  read(stdout: string): Answer;
}

export interface Program {
  readonly name: string;
  /** A file without which the program is not installed; null = always there. */
  readonly needs: string | null;
  /** Times it is run at most. */
  readonly repeats: (workload: PeerWorkload) => number;
  /** null = it cannot replay this workload. */
  invocation(workload: PeerWorkload): Invocation | null;
}

/** Places the programs need. */
export interface PeerPlaces {
  readonly root: string;
  /** Where the peers are installed. */
  readonly peers: string;
  /** A folder for this session. */
  readonly scratch: string;
  readonly inputs: PeerInputs;
}

/** The row with kvcast's event loop in a process that has compiled it; what native code needs no time for is left out. */
export const LOOP_ALONE = 'kvcast, event loop alone';

/** kvcast first: cold reads the published file, warm its columnar cache. */
export function programs(places: PeerPlaces): Program[] {
  const { peers } = places;
  return [
    {
      name: 'kvcast, cold',
      needs: null,
      repeats: () => 3,
      invocation: (w) => kvcast(places, w, mkdtempSync(join(places.scratch, 'cold-'))),
    },
    { name: 'kvcast, warm', needs: null, repeats: () => 3, invocation: (w) => kvcast(places, w, warmCache(places)) },
    { name: LOOP_ALONE, needs: null, repeats: () => 1, invocation: (w) => loopAlone(places, w) },
    {
      name: 'AISimulate + Dynamo router',
      needs: join(peers, 'venv/bin/python'),
      repeats: (w) => (w.trace === 'mooncake' ? 2 : 1),
      invocation: (w) => aisimulate(places, w),
    },
    { name: 'inference-lab', needs: join(peers, 'bin/inference-lab'), repeats: () => 2, invocation: (w) => inferenceLab(places, w) },
    {
      name: 'kvcache-simulator (hits only)',
      needs: join(peers, 'venv/bin/kvcache-simulator'),
      repeats: () => 2,
      invocation: (w) => (w.trace === 'mooncake' ? kvcacheSimulator(places) : null),
    },
  ];
}

function warmCache({ scratch }: PeerPlaces): string {
  const folder = join(scratch, 'warm');
  mkdirSync(folder, { recursive: true });
  return folder;
}

function kvcast({ root }: PeerPlaces, { trace, workers }: PeerWorkload, cache: string): Invocation {
  const scenario = join(root, 'bench/peers', `${trace}.yaml`);
  return {
    command: [
      process.execPath,
      join(root, 'dist/cli.js'),
      'run',
      scenario,
      '--set',
      `fleet.pools.main.workers=${workers}`,
      '--jobs',
      '1',
      '-q',
      '--json',
    ],
    env: { XDG_CACHE_HOME: cache },
    limitS: 300,
    read: readKvcast,
  };
}

function readKvcast(stdout: string): Answer {
  const result = JSON.parse(stdout) as {
    readonly metrics: readonly { readonly expr: string; readonly mean: number }[];
    readonly workload: { readonly turns: number };
  };
  return { requests: result.workload.turns, hitShare: result.metrics.find((m) => m.expr === 'kv.hit.total')?.mean ?? null };
}

/** Six runs in one process; the fastest loop. */
function loopAlone(places: PeerPlaces, { trace, workers }: PeerWorkload): Invocation {
  const { root } = places;
  return {
    command: [process.execPath, join(root, 'dist/bench.js'), 'peers-loop', join(root, 'bench/peers', `${trace}.yaml`), String(workers)],
    env: { XDG_CACHE_HOME: warmCache(places) },
    limitS: 300,
    read: (stdout) => JSON.parse(stdout) as Answer,
  };
}

function aisimulate({ root, peers, inputs }: PeerPlaces, { trace, workers }: PeerWorkload): Invocation {
  const kind = trace === 'mooncake' ? 'mooncake' : 'weka';
  const script = join(root, 'bench/peers/dynamo_replay.py');
  return {
    command: [join(peers, 'venv/bin/python'), script, inputs[trace], kind, String(workers), String(BLOCK_TOKENS[trace])],
    env: { DYN_LOG: 'error' },
    limitS: 900,
    read: (stdout) => JSON.parse(stdout.trim().split('\n').pop()!) as Answer,
  };
}

function inferenceLab({ peers, scratch, inputs }: PeerPlaces, { trace, workers }: PeerWorkload): Invocation {
  const block = BLOCK_TOKENS[trace];
  const folder = mkdtempSync(join(scratch, 'lab-'));
  const out = join(folder, 'out.json');
  writeFileSync(join(folder, 'model.toml'), labModel(block, workers));
  writeFileSync(join(folder, 'workload.toml'), labWorkload(trace === 'mooncake' ? inputs.mooncakeChains : inputs.agentChains));
  const [model, workload] = [join(folder, 'model.toml'), join(folder, 'workload.toml')];
  return {
    command: [join(peers, 'bin/inference-lab'), '-c', model, '--hardware', 'h100', '-w', workload, '-q', '--no-color', '-o', out],
    limitS: 300,
    read: () => {
      const { requests, work } = JSON.parse(readFileSync(out, 'utf8')) as LabSummary;
      return { requests: requests.completed, hitShare: 1 - work.prefill_tokens_computed / work.completed_prompt_tokens };
    },
  };
}

/** The part of its summary that is read. Tokens recomputed after a preemption lower the share of hits. */
interface LabSummary {
  readonly requests: { readonly completed: number };
  readonly work: { readonly completed_prompt_tokens: number; readonly prefill_tokens_computed: number };
}

function labModel(block: number, workers: number): string {
  return `model = "qwen3-vl-235b-a22b-fp8"
[scheduler]
max_num_batched_tokens = 8192
max_num_seqs = 256
policy = "fcfs"
enable_chunked_prefill = true
block_size = ${block}
kv_cache_capacity = ${BLOCKS * block * TOKEN_BYTES}
[hardware.h100]
tp = 8
ep = 8
replicas = ${workers}
[router]
policy = "kv_aware"
`;
}

/** Chains start evenly over the span of the trace, or all at once. */
function labWorkload({ path, chains, spanS }: ChainFile): string {
  const starts = spanS === 0 ? 'arrival_pattern = "batched"' : `arrival_pattern = "uniform"\narrival_rate = ${chains / spanS}`;
  return `sessions_path = "${path}"
${starts}
num_sessions = ${chains}
seed = 42
input_len_dist = { type = "fixed", value = 1 }
output_len_dist = { type = "fixed", value = 1 }
`;
}

/** KV bytes of a token of DeepSeek V3 in bf16, as kvcache-simulator counts them. */
const DEEPSEEK_TOKEN_BYTES = 70_272;

/** The cache of one worker and one policy. That of eight would hold the first half of the trace, and such a budget is not reported. */
function kvcacheSimulator({ peers, inputs }: PeerPlaces): Invocation {
  const gib = (BLOCKS * BLOCK_TOKENS.mooncake * DEEPSEEK_TOKEN_BYTES) / 2 ** 30;
  const settings = ['--model', 'deepseek-v3', '--block-size', '512', '--policies', 'lru', '--budgets-gib', String(gib), '--no-progress'];
  return {
    command: [join(peers, 'venv/bin/kvcache-simulator'), 'run', '--trace', inputs.mooncake, ...settings, '--format', 'json'],
    limitS: 300,
    read: (stdout) => {
      const { metadata, points } = JSON.parse(stdout) as HitReport;
      return { requests: metadata.requestCount, hitShare: points[0]?.results.lru.hitRate ?? null };
    },
  };
}

/** The part of kvcache-simulator's report that is read. */
interface HitReport {
  readonly metadata: { readonly requestCount: number };
  readonly points: readonly { readonly results: { readonly lru: { readonly hitRate: number } } }[];
}
