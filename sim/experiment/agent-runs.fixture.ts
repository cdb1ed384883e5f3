/** Whole runs of agents drawn from a seed, for tests that say what two runs must have in common. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlPlane, Effects } from '../../control/ports.ts';
import { loadScenario } from '../../scenarios/load-scenario.ts';
import { Cluster } from '../cluster/cluster.ts';
import type { ClusterRun } from '../cluster/cluster-spec.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import { HAND_HEADER, handScenario, writeHandTrace } from './hand-run.fixture.ts';
import { planOf } from './plan-of.ts';
import { policyCatalogue } from './policy-catalogue.ts';
import type { RunPlan } from './run-plan.ts';
import { clusterSpec, prepareTrace } from './simulate.ts';

export interface AgentChoices {
  readonly sessions: number;
  /** Turns of a session, 1 to this many. Default 6. */
  readonly turns?: number;
  /** uint32. Default 1. */
  readonly seed?: number;
  /** Begin of the names of sessions. Default `s`. */
  readonly name?: string;
  readonly tenants?: readonly string[];
  /** Factor on arrivals and pauses. Default 1. */
  readonly timeScale?: number;
  /** Block ids are this one and those after it; ids of a trace of scope `file` are contents. Default 1. */
  readonly firstId?: number;
  /** Leading blocks that all sessions share. Default 0. */
  readonly shared?: number;
  /** Mean time between arrivals, ms. Default 200. */
  readonly arrivalMs?: number;
  /** Longest pause after a tool call, ms; after a turn ten times that. Default 1,000. */
  readonly pauseMs?: number;
  /** Of every session. */
  readonly hints?: object;
}

/** Every time is a multiple of this one, so that runs with steps of as many ms stay on one grid. */
const GRID_MS = 10;

/** Uniform in [0, 1) (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A session in the form of the own format, with its one agent. */
export interface DrawnSession {
  readonly id: string;
  readonly tenant?: string;
  readonly arrivalMs: number;
  readonly hints?: object;
  readonly agents: readonly [
    { readonly id: string; readonly model: string; readonly requests: readonly { readonly in: number; readonly out: number }[] },
  ];
}

/** Sessions whose prompts grow by 4 to 39 blocks of 64 tokens per turn; four of five responses call a tool. */
export function agentSessions(choices: AgentChoices): DrawnSession[] {
  const { sessions, turns = 6, seed = 1, name = 's', tenants, timeScale = 1, firstId = 1, shared = 0, arrivalMs = 200 } = choices;
  const draw = uniform(seed);
  const upTo = (n: number): number => Math.floor(draw() * n);
  let nextMs = 0;
  return Array.from({ length: sessions }, (_, s) => {
    nextMs += GRID_MS * upTo((2 * arrivalMs) / GRID_MS);
    let blocks = shared + 8 + upTo(24);
    let stop = 'tool';
    const own = firstId + shared + 10_000 * s;
    const requests = Array.from({ length: 1 + upTo(turns) }, (_, k) => {
      const longest = (choices.pauseMs ?? 1000) * (stop === 'tool' ? 1 : 10);
      const pauseMs = GRID_MS * (1 + upTo(longest / GRID_MS)) * timeScale;
      if (k > 0) blocks += 4 + upTo(36);
      stop = upTo(5) > 0 ? 'tool' : 'turn';
      const runs = [...(shared > 0 ? [[firstId, firstId + shared - 1]] : []), [own, own + blocks - shared - 1]];
      return { startMs: k * 1000, in: blocks * 64 + upTo(64), out: 2 + upTo(30), runs, stop, ...(k === 0 ? {} : { pauseMs }) };
    });
    return {
      id: `${name}${s}`,
      arrivalMs: nextMs * timeScale,
      ...(tenants === undefined ? {} : { tenant: tenants[s % tenants.length] }),
      ...(choices.hints === undefined ? {} : { hints: choices.hints }),
      agents: [{ id: 'root', model: 'm', requests }],
    };
  });
}

/** What a test may change in a run: its plan, and what stands between the plane and its shell. */
export interface RunShim {
  readonly plan?: (plan: RunPlan) => RunPlan;
  /** The plane as the cluster sees it. */
  readonly plane?: (inner: ControlPlane) => ControlPlane;
  /** The effects as the plane sees them. */
  readonly effects?: (outer: Effects) => Effects;
}

/** A plane that passes every call on, to be spread under the calls that a shim changes; methods of a class do not spread. */
export function passOn(inner: ControlPlane): ControlPlane {
  return {
    request: (...args) => inner.request(...args),
    firstToken: (...args) => inner.firstToken(...args),
    progress: (...args) => inner.progress(...args),
    ended: (...args) => inner.ended(...args),
    worker: (...args) => inner.worker(...args),
    kvEvents: (...args) => inner.kvEvents(...args),
    report: (...args) => inner.report(...args),
    hint: (...args) => inner.hint(...args),
    settled: (...args) => inner.settled(...args),
    timer: (...args) => inner.timer(...args),
  };
}

/** A folder of traces that goes away with the test file. */
export class AgentRuns {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kvcast-agents-'));
  #files = 0;

  /** Call it when the last test is over. */
  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  /** Writes a trace; equal ids of different sessions are the same content only with scope `file`. */
  trace(sessions: readonly object[], idScope: 'session' | 'file' = 'session'): string {
    const file = join(this.#folder, `${this.#files++}.kvtrace.jsonl`);
    writeHandTrace(file, sessions, { ...HAND_HEADER, idScope });
    return file;
  }

  /** One replication on one worker of 10 ms steps and 4,000 blocks, unless `sets` say otherwise. */
  async run(file: string, sets: readonly string[] = [], shim: RunShim = {}, timer?: string): Promise<ClusterRun> {
    const choices = { name: 'agents', contextLimit: '20k', maxBatchedTokens: 2048, ...(timer === undefined ? {} : { timer }) };
    const loaded = await loadScenario({ text: handScenario(file, choices), name: 'agents' }, { sets, policies: policyCatalogue() });
    const compiled = planOf(loaded, { metrics: [] });
    const plan = shim.plan?.(compiled) ?? compiled;
    const workload = materialiseWorkload(await prepareTrace(plan), plan.workload, plan.seed, 0);
    const spec = clusterSpec(plan, plan.arms[0]!, workload, 0, null);
    const cluster = new Cluster({
      ...spec,
      createPlane: (branches, effects) => {
        const plane = spec.createPlane(branches, shim.effects?.(effects) ?? effects);
        return shim.plane?.(plane) ?? plane;
      },
    });
    while (cluster.step(10_000));
    return cluster.result();
  }
}

/** When each turn arrived, was admitted, had its first and last token, ms, and what it hit in HBM and host memory, tokens. */
export function turnFates({ turns }: ClusterRun): readonly (readonly number[])[] {
  const columns = [turns.arrivalMs, turns.admitMs, turns.firstTokenMs, turns.lastTokenMs, turns.hitHbmTokens, turns.hitHostTokens];
  return Array.from({ length: turns.count }, (_, k) => columns.map((column) => column[k]!));
}

/** The fates of the turns of one tenant. */
export function tenantFates(run: ClusterRun, tenant: number): readonly (readonly number[])[] {
  const { turns, plays } = run.workload;
  return turnFates(run).filter((_, k) => plays.tenant[turns.play(run.turns.turn[k]!)] === tenant);
}

/** Blocks that left HBM of all workers while the run went on. */
export function evictedBlocks(run: ClusterRun): number {
  return run.counters.reduce((sum, worker) => sum + worker.hbmEvictedBlocks, 0);
}
