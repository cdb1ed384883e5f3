/**
 * `npm run results`: retention policies at three pressures on the bundled agent trace, written to docs/results/retention.md. The figures
 * are those of `kvcast bound`, the scenario is scenarios/retention/pressure.yaml; only the number of live sessions differs.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LoadedScenario, loadScenario } from '../scenarios/load-scenario.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import type { BoundArm, BoundResult, Estimate } from '../sim/experiment/bound-result.ts';
import { planOf } from '../sim/experiment/plan-of.ts';
import { policyCatalogue } from '../sim/experiment/policy-catalogue.ts';
import type { MetricRow, Result } from '../sim/experiment/result.ts';
import { prepareTrace, recordingService } from '../sim/experiment/simulate.ts';
import { type PointOutcome, simulatePoint } from '../sim/experiment/simulate-point.ts';
import { reduceBound } from '../sim/oracle/reduce-bound.ts';
import { estimatedApiMs } from '../sim/workload/pauses.ts';
import { pauseOf, type Trace } from '../traces/columns.ts';
import { VERSION } from '../version.ts';

const SCENARIO = 'retention/pressure';
/** Working set over HBM and host memory. */
const PRESSURES = [0.7, 1.5, 4] as const;
const PRIMARY = 'turn.ttft.mean';
const METRICS = ['turn.ttft.p(50)', 'turn.ttft.p(99)', 'session.activeTime.mean', 'cost.usdPerSession', 'throughput.output'] as const;
const CAUSES = ['routing', 'capacity', 'ttl', 'claim', 'dropped', 'inflight', 'tier', 'preempted'] as const;

interface Pressure {
  readonly pressure: number;
  readonly sessions: number;
  readonly capacityTokens: number;
  readonly contextTokens: number;
  readonly result: Result;
  readonly bounds: BoundResult;
}

/** Tokens that an open session holds, averaged over its life: requests and the pauses after them, de-biased. */
export function meanContextTokens(trace: Trace, limit: number): number {
  let tokenMs = 0;
  let ms = 0;
  const { agent, request, session } = trace;
  for (let s = 0; s < trace.sessionCount; s++) {
    const root = session.agentFrom[s]!;
    for (let r = agent.requestFrom[root]!; r < agent.requestFrom[root + 1]!; r++) {
      if (request.inTokens[r]! + request.outTokens[r]! > limit) break;
      const api = estimatedApiMs(request.inTokens[r]!, request.outTokens[r]!);
      const pause = r + 1 < agent.requestFrom[root + 1]! ? pauseOf(trace, r + 1, 'debiased') : 0;
      const life = api + (Number.isNaN(pause) ? 0 : pause);
      tokenMs += life * request.inTokens[r]!;
      ms += life;
    }
  }
  return tokenMs / ms;
}

/** Simulates and writes; `reps` replications per arm, those of the scenario if undefined. */
export async function retentionResults(reps: number | undefined, onPoint: (line: string) => void): Promise<string> {
  const root = findPackageRoot();
  const plan = planOf(await load(root, [], reps), { metrics: METRICS });
  const trace = await prepareTrace(plan);
  const contextTokens = meanContextTokens(trace, plan.workload.contextLimit);
  const capacityTokens = plan.arms[0]!.pools.reduce((sum, p) => sum + p.workers * (p.hbmTokens + p.hostTokens), 0);
  const pressures: Pressure[] = [];
  for (const pressure of PRESSURES) {
    const sessions = Math.round((pressure * capacityTokens) / contextTokens);
    const { plan, conducted, result } = await simulate(await load(root, [`workload.arrivals.concurrency=${sessions}`], reps));
    const bounds = reduceBound(plan, conducted, result, {
      trace,
      unlimited: null,
      oracles: ['infinite', 'belady', 'ttl', 'router'],
      onlyArm: undefined,
    });
    pressures.push({ pressure, sessions, capacityTokens, contextTokens, result, bounds });
    onPoint(`pressure ${pressure}: ${sessions} sessions`);
  }
  const path = join(root, 'docs/results/retention.md');
  writeFileSync(`${path}.tmp`, markdown(pressures));
  renameSync(`${path}.tmp`, path);
  return path;
}

function load(root: string, sets: readonly string[], reps: number | undefined): Promise<LoadedScenario> {
  return loadScenario(
    { file: SCENARIO },
    { sets, policies: policyCatalogue(), packageRoot: root, ...(reps === undefined ? {} : { reps }) },
  );
}

function simulate(loaded: LoadedScenario): Promise<PointOutcome> {
  return simulatePoint(loaded, {
    command: 'compare',
    kvcastVersion: VERSION,
    force: true,
    metrics: [...METRICS, ...CAUSES.map((c) => `tokens.recomputed.${c}`)],
    verify: false,
    timeLimitMs: null,
    signal: new AbortController().signal,
    reproduce: `kvcast bound ${SCENARIO}`,
    amend: recordingService,
    out: null,
    onStart: () => undefined,
    onProgress: () => undefined,
  });
}

// ---- the document -------------------------------------------------------------------------------------------------------------

function markdown(pressures: readonly Pressure[]): string {
  const [first] = pressures;
  const { trust, workload } = first!.result;
  const head = [
    '# Retention at three pressures',
    '',
    `Written by \`npm run results\` (kvcast ${VERSION}); do not edit. Scenario \`scenarios/retention/pressure.yaml\`: the bundled agent trace (weka_dev, 120 sessions),`,
    `two H100 TP8 workers with host tier, router \`dynamo-kv@1\`, ${trust.replications} paired replications, mean ± half-width of the 95 % interval.`,
    `HBM and host hold ${millions(first!.capacityTokens)} M tokens; an open session holds ${Math.round(first!.contextTokens / 1000)} k on average over its life (requests and de-biased pauses), so the number of`,
    'live sessions sets the pressure = working set / capacity. Contexts are cut at 128 k tokens, the range of the timing cell.',
    '',
    `Populations: root and nested agents, all sessions live in the measured window; pauses ${workload.pauses}, sharing ${workload.sharing}.`,
    '',
    '## What to do',
    '',
    ...pressures.map((p) => `* **${p.pressure} x** (${p.sessions} sessions): ${advice(p)}`),
    '',
  ];
  return `${[...head, ...pressures.flatMap(section), ...notes()].join('\n')}\n`;
}

/** One sentence from the figures: what the paired differences from lru say of the primary metric, and what an oracle could add. */
function advice({ result, bounds }: Pressure): string {
  const rows = result.comparisons.filter((c) => c.expr === PRIMARY && c.delta !== null);
  const better = rows.filter((c) => c.verdict === 'improved').sort((a, b) => a.delta! - b.delta!);
  const worse = rows.filter((c) => c.verdict === 'regressed').map((c) => `\`${c.arm}\``);
  const hits = (arm: string) => percent(metric(result, arm, 'kv.hit.total').mean);
  const named = better.map((c) => `\`${c.arm}\` ${fixed(c.delta!, 0)} % [${fixed(c.lo!, 0)}, ${fixed(c.hi!, 0)}]`);
  const choice =
    named.length === 0
      ? 'no policy shortens the mean TTFT beyond noise: keep `lru`'
      : `mean TTFT against \`lru\`: ${named.join(', ')} (hits ${hits(better[0]!.arm)} % against ${hits('lru')} %)`;
  const avoid = worse.length === 0 ? '' : `; worse: ${worse.join(', ')}`;
  const lru = bounds.arms.find((arm) => arm.name === 'lru')!;
  const belady = regret(lru, 'belady');
  const verdict =
    belady < 3
      ? 'memory is not what is short; placement is worth more than retention.'
      : belady < 25
        ? 'a retention policy can close a part of it, memory the rest.'
        : 'no eviction order alone saves this fleet: hold sessions back (admission), or buy memory.';
  return `${choice}${avoid}. Regret of \`lru\`: ${fixed(belady, 1)} % against perfect eviction, ${fixed(regret(lru, 'belady + router'), 1)} % with perfect placement; ${verdict}`;
}

function section({ pressure, sessions, result, bounds }: Pressure): string[] {
  const rows = result.arms.map(({ name }) => {
    const at = (expr: string, factor = 1, digits = 1) => estimate(metric(result, name, expr), factor, digits);
    const arm = bounds.arms.find((a) => a.name === name)!;
    const of = (oracle: string) =>
      estimate(arm.rows.find((r) => r.oracle.startsWith(oracle) && (oracle.includes('+') || !r.oracle.includes('+')))?.regret, 100);
    return [
      `\`${name}\``,
      at('kv.hit.total', 100),
      at('turn.ttft.p(50)', 1, 2),
      at('turn.ttft.p(99)'),
      at('session.activeTime.mean', 1, 0),
      at('cost.usdPerSession', 1, 2),
      of('belady'),
      of('ttl'),
      of('belady + router'),
    ];
  });
  const shown = CAUSES.filter((c) => result.arms.some(({ name }) => (metric(result, name, `tokens.recomputed.${c}`).mean ?? 0) > 0));
  const causes = result.arms.map(({ name }) => [
    `\`${name}\``,
    estimate(metric(result, name, 'tokens.recomputed.total'), 1e-6),
    ...shown.map((c) => estimate(metric(result, name, `tokens.recomputed.${c}`), 1e-6)),
  ]);
  return [
    `## ${pressure} x: ${sessions} live sessions`,
    '',
    ...table(
      [
        'policy',
        'KV hit %',
        'TTFT p50 s',
        'TTFT p99 s',
        'session active s',
        'USD per session',
        'regret % belady',
        'ttl',
        'belady + router',
      ],
      rows,
    ),
    '',
    'Recomputed tokens by cause, millions per replication:',
    '',
    ...table(['policy', 'total', ...shown], causes),
    '',
  ];
}

function notes(): string[] {
  return [
    '## How to read it',
    '',
    '* Regret = (tokens saved by the oracle - by the arm) / by the oracle, on the order in which the arm itself was served; see [bounds](../bounds.md). Oracles are',
    '  clairvoyant and not deployable. `ttl` knows every pause and rents the room that is there on average.',
    '* Cost per session counts finished sessions in the measured window; open ones are censored, so it is comparable between rows of one table only.',
    '* `*-aimd` and `*-thunder` hold sessions back (admission control): their sessions wait in the router, which is part of their active time.',
    '* `drop-5m` and the emulations exist for comparison; what can be deployed where: [retention](../retention.md).',
  ];
}

function metric(result: Result, arm: string, expr: string): MetricRow {
  return result.metrics.find((m) => m.arm === arm && m.expr === expr)!;
}

function regret(arm: BoundArm, oracle: string): number {
  return 100 * (arm.rows.find((r) => r.oracle === oracle || r.oracle.startsWith(`${oracle} (`))?.regret?.mean ?? Number.NaN);
}

function estimate(e: Pick<Estimate, 'mean' | 'lo' | 'hi'> | undefined, factor = 1, digits = 1): string {
  if (e === undefined || e.mean === null) return 'n/a';
  const mean = fixed(e.mean * factor, digits);
  return e.lo === null || e.hi === null ? mean : `${mean} ±${fixed(((e.hi - e.lo) / 2) * factor, digits)}`;
}

function percent(share: number | null): string {
  return share === null ? 'n/a' : fixed(100 * share, 1);
}

function fixed(x: number, digits: number): string {
  return x.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function millions(tokens: number): string {
  return fixed(tokens / 1e6, 1);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)];
}
