/** explain: where the time of turns went under one arm of a stored result, or why it differs from another; repeats the runs. */
import { UserError } from '../control/user-error.ts';
import { liveProgress, plainProgress } from '../reports/progress.ts';
import type { Terminal } from '../reports/terminal.ts';
import { explainText } from '../reports/text/explain.ts';
import { didYouMean } from '../scenarios/spelling.ts';
import { ExplainReducer } from '../sim/experiment/explain-reduce.ts';
import type { ExplainResult, ExplainSwap } from '../sim/experiment/explain-result.ts';
import type { ExplainedRun } from '../sim/experiment/explain-run.ts';
import { explainRun, refuseChanged } from '../sim/experiment/explain-run.ts';
import { readStoredRun, type StoredRun } from '../sim/experiment/plan-file.ts';
import { resultJson } from '../sim/experiment/result-json.ts';
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { chooseExecutor } from '../sim/experiment/simulate-point.ts';
import { runSwap, type SwapPlan, swapPlan } from '../sim/experiment/swap.ts';
import { type BoundExpression, bindMetric, boundMetric } from '../sim/measure/metric-expression.ts';
import { TurnTimeline } from '../sim/measure/turn-timeline.ts';
import { VERSION } from '../version.ts';
import { interruption } from './interruption.ts';
import { writeReports } from './reporters.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

export interface ExplainOptions extends OutputOptions {
  readonly vs?: string;
  readonly arm?: string;
  readonly vsArm?: string;
  readonly metric?: string;
  readonly session?: string;
  readonly swap?: boolean;
  /** Threads of the swap. */
  readonly jobs?: number;
  readonly onlyRep?: number;
  readonly reporter?: readonly string[];
}

/** An arm of a stored result. */
interface Side {
  readonly stored: StoredRun;
  readonly arm: number;
}

/** `kvcast explain RESULT [--vs RESULT or ARM]` */
export async function explain(path: string, options: ExplainOptions): Promise<void> {
  const terminal = terminalOf(options);
  const expression = metricOf(options.metric ?? 'turn.ttft.mean');
  const [subject, reference] = sides(readStoredRun(path), options);
  const known = (side: Side): number => side.stored.result.arms[side.arm]!.runHashes.length;
  const count = Math.min(known(subject), reference === null ? Number.POSITIVE_INFINITY : known(reference));
  if (options.onlyRep !== undefined && options.onlyRep >= count)
    refuse('--only-rep', `got ${options.onlyRep}, the result has 0..${count - 1}`);
  const replications = options.onlyRep === undefined ? Array.from({ length: count }, (_, i) => i) : [options.onlyRep];
  const named = ({ stored, arm }: Side) => ({ result: stored.folder, arm: stored.result.arms[arm]!.name });
  const reducer = new ExplainReducer({
    kvcastVersion: VERSION,
    expr: expression.text,
    aggregate: expression.aggregate,
    subject: named(subject),
    reference: reference === null ? null : named(reference),
    session: options.session ?? null,
  });
  const mixtures = options.swap === true ? mixturesOf(subject, reference, expression.text, replications[0]!) : null;
  const drawn = (options.reporter ?? []).filter((name) => /^perfetto(:|$)/.test(name));
  const timeline = drawn.length === 0 ? undefined : new TurnTimeline();
  const stop = interruption(terminal);
  let document: ExplainResult;
  try {
    for (const replication of replications) {
      terminal.note(
        `kvcast ${VERSION} · repeating replication ${replication} of ${[subject, reference].flatMap((s) => (s === null ? [] : named(s).arm)).join(' and ')}`,
      );
      const here = await repeat(subject, replication, expression, stop.signal, replication === replications[0] ? timeline : undefined);
      reducer.add(replication, here, reference === null ? null : await repeat(reference, replication, expression, stop.signal));
    }
    document = reducer.result();
    if (mixtures !== null) document = { ...document, swap: await swap(mixtures, document, options, terminal, stop.signal) };
  } finally {
    stop.dispose();
  }
  if (options.session !== undefined && document.session.length === 0)
    refuse('--session', `got ${options.session}, which has no turn in replication ${replications.join(', ')}`, [
      ...sessionNames(document.worst.bySlowdown),
    ]);
  const json = resultJson(document);
  const perfetto = (): string => {
    const { text, sampled } = timeline!.json();
    if (sampled > 1) terminal.note(`timeline: every ${sampled}th session, to stay below 50 MB`);
    return text;
  };
  writeReports(options, terminal, { text: (paint) => explainText(document, paint), json: () => json, perfetto });
}

/** Runs a side again. Throws UserError E_EXPLAIN_CHANGED unless it is the stored run. */
async function repeat(
  { stored, arm }: Side,
  replication: number,
  expression: BoundExpression,
  signal: AbortSignal,
  timeline?: TurnTimeline,
): Promise<ExplainedRun> {
  const { folder, result, plan } = stored;
  const refuseIf = (what: string, got: string, expected: string): void => {
    if (got !== expected) refuseChanged(folder, what, got, expected, result.reproduce);
  };
  refuseIf('version of kvcast', VERSION, result.kvcastVersion);
  refuseIf('digest of the trace', (await prepareTrace(plan)).header.source.digest, result.workload.traceDigest);
  const number = plan.firstReplication + replication;
  const run = await explainRun(plan, await prepareTrace(plan, number), arm, number, expression, signal, timeline);
  refuseIf(`run hash of ${plan.arms[arm]!.name}, replication ${replication}`, run.runHash, result.arms[arm]!.runHashes[replication]!);
  return run;
}

/** What --swap runs, from one replication on. Throws UserError E_EXPLAIN_SWAP, E_USAGE without another side. */
function mixturesOf(subject: Side, reference: Side | null, expr: string, first: number): SwapPlan {
  if (reference === null) refuse('--swap', `got one arm, expected another to compare it with: --vs`);
  const sideOf = ({ stored: { folder, plan }, arm }: Side) => ({ folder, plan, arm });
  const { parts, plan } = swapPlan(sideOf(subject), sideOf(reference), expr);
  return { parts, plan: { ...plan, firstReplication: plan.firstReplication + first } };
}

async function swap(
  mixtures: SwapPlan,
  { subject, reference }: ExplainResult,
  options: ExplainOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ExplainSwap> {
  const runs = mixtures.plan.arms.length * subject.runHashes.length;
  terminal.note(`mixing ${mixtures.parts.join(', ')}: ${runs} runs`);
  const executor = await chooseExecutor(options.jobs === undefined ? {} : { jobs: options.jobs }, runs);
  try {
    return await runSwap(mixtures, { subject: subject.runHashes, reference: reference!.runHashes }, executor, {
      onProgress: (facts) => terminal.progress(liveProgress(facts), plainProgress(facts), performance.now()),
      signal,
    });
  } finally {
    await executor.close();
  }
}

/** Who is explained and against whom: see docs/explain.md. */
function sides(stored: StoredRun, { vs, arm, vsArm }: ExplainOptions): readonly [Side, Side | null] {
  const { arms, scenario } = stored.result;
  const baseline = arms.findIndex((a) => a.name === scenario.baseline);
  const names = arms.map((a) => a.name);
  const isName = vs !== undefined && names.includes(vs);
  if (vs !== undefined && !isName) {
    const other = readStoredRun(vs);
    const wanted = arm === undefined ? best(stored, arms.length > 1 ? baseline : -1) : armOf(stored, arm, '--arm');
    const name = names[wanted]!;
    const same = other.result.arms.some((a) => a.name === name) ? name : other.result.scenario.baseline;
    return [
      { stored, arm: wanted },
      { stored: other, arm: armOf(other, vsArm ?? same, '--vs-arm') },
    ];
  }
  const against = vsArm ?? (isName ? vs : undefined);
  const there = against === undefined ? baseline : armOf(stored, against, '--vs-arm');
  const here = arm === undefined ? best(stored, there) : armOf(stored, arm, '--arm');
  if (here === there && against !== undefined) refuse('--vs', `got ${against}, which is the arm that is explained`);
  return [{ stored, arm: here }, here === there ? null : { stored, arm: there }];
}

/** The arm with the best primary metric, other than one if there are others. */
function best({ result }: StoredRun, except: number): number {
  const { scenario, arms, metrics } = result;
  const isHigher = boundMetric(scenario.primary).metric.better === 'higher';
  const meanOfArm = (a: number): number => {
    const mean = metrics.find((m) => m.arm === arms[a]!.name && m.expr === scenario.primary)?.mean;
    return mean == null ? Number.POSITIVE_INFINITY : isHigher ? -mean : mean;
  };
  const others = arms.map((_, a) => a).filter((a) => a !== except || arms.length === 1);
  return others.reduce((a, b) => (meanOfArm(b) < meanOfArm(a) ? b : a));
}

function armOf({ result, folder }: StoredRun, name: string, flag: string): number {
  const names = result.arms.map((a) => a.name);
  if (!names.includes(name)) refuse(flag, `got ${name}, expected one of ${names.join(', ')} (${folder})`, names);
  return names.indexOf(name);
}

/** A tally of turns that has components. Throws UserError E_EXPRESSION, E_USAGE. */
function metricOf(text: string): BoundExpression {
  const bound = bindMetric(text);
  if ('code' in bound) throw new UserError({ severity: 'error', path: '--metric', ...bound });
  const { metric, aggregate } = bound;
  const isKnown = metric.name === 'turn.ttft' || metric.name === 'turn.e2e';
  if (!isKnown || (aggregate.kind !== 'mean' && aggregate.kind !== 'quantile'))
    refuse('--metric', `got ${text}, expected the mean or a quantile of turn.ttft or turn.e2e`);
  return bound;
}

function sessionNames(list: readonly { readonly session: string }[]): Set<string> {
  return new Set(list.map((s) => s.session));
}

function refuse(path: string, message: string, names: readonly string[] = []): never {
  const hint = didYouMean(message.split(/[ ,]/)[1]!, [...names]);
  throw new UserError({ severity: 'error', code: 'E_USAGE', path, message, ...(hint === undefined ? {} : { hint }) });
}
