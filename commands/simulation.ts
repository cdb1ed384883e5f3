/** demo, run, compare: read options, simulate, print. */
import { availableParallelism } from 'node:os';
import { formatProblem, UserError } from '../control/user-error.ts';
import { durationText, liveProgress, plainProgress } from '../reports/progress.ts';
import type { Terminal } from '../reports/terminal.ts';
import { comparisonText } from '../reports/text/comparison.ts';
import { thousands } from '../reports/text/numbers.ts';
import { runText } from '../reports/text/run.ts';
import { type LoadedScenario, loadScenario } from '../scenarios/load-scenario.ts';
import { parseScalar } from '../scenarios/scalars.ts';
import { policyCatalogue } from '../sim/experiment/policy-catalogue.ts';
import type { Result } from '../sim/experiment/result.ts';
import { type PointOptions, type PointOutcome, simulatePoint } from '../sim/experiment/simulate-point.ts';
import { VERSION } from '../version.ts';
import { exitOf, raiseExit } from './exit-code.ts';
import { interruption } from './interruption.ts';
import { writeReports } from './reporters.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/** Options of every command that simulates. */
export interface SimulationOptions extends OutputOptions {
  readonly out?: string;
  readonly set?: readonly string[];
  readonly seed?: number;
  readonly reps?: number;
  readonly jobs?: number;
  readonly executor?: 'local' | 'threads';
  readonly reporter?: readonly string[];
  readonly metric?: readonly string[];
  readonly onlyRep?: number;
  readonly verify?: boolean;
  readonly timeLimit?: string;
  readonly force?: boolean;
  readonly arm?: string;
  readonly baseline?: string;
  readonly enforceSlo?: boolean;
  readonly detailedExitcode?: boolean;
}

/** `kvcast demo` */
export async function demo(options: SimulationOptions): Promise<void> {
  // A first impression should be quick: the demo uses every core, other commands leave one.
  await one('demo', 'quickstart', { ...options, jobs: options.jobs ?? availableParallelism() }, 'kvcast demo');
}

/** `kvcast run SCENARIO…` */
export async function run(scenarios: readonly string[], options: SimulationOptions): Promise<void> {
  if (scenarios.length > 1 && (options.json === true || options.out !== undefined || (options.reporter ?? []).length > 0))
    throw new UserError({
      severity: 'error',
      code: 'E_USAGE',
      message: `got ${scenarios.length} scenarios, expected one with --json, --reporter or --out`,
      hint: 'Run them one by one',
    });
  for (const scenario of scenarios) {
    await one('run', scenario, options, `kvcast run ${shellWord(scenario)}`);
    if (process.exitCode === 130 || process.exitCode === 143) return;
  }
}

/** `kvcast compare SCENARIO` */
export async function compare(scenario: string, options: SimulationOptions): Promise<void> {
  await one('compare', scenario, options, `kvcast compare ${shellWord(scenario)}`);
}

/** Loads a scenario with the flags of a command and prints its warnings. */
export async function load(scenario: string, options: SimulationOptions, terminal: Terminal): Promise<LoadedScenario> {
  const source = scenario === '-' ? { text: await stdin(), name: 'stdin' } : { file: scenario };
  const loaded = await loadScenario(source, {
    sets: options.set ?? [],
    policies: policyCatalogue(),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...(options.reps === undefined ? {} : { reps: options.reps }),
  });
  terminal.diagnostics(loaded.problems.map((p) => ({ severity: p.severity, text: formatProblem(p) })));
  return loaded;
}

async function one(command: Result['command'], scenario: string, options: SimulationOptions, base: string): Promise<void> {
  const terminal = terminalOf(options);
  const loaded = await load(scenario, options, terminal);
  const stop = interruption(terminal);
  let outcome: PointOutcome;
  try {
    outcome = await simulatePoint(loaded, {
      ...pointOptions(command, loaded, options, stop.signal, base),
      out: options.out ?? `kvcast-out/${loaded.settings.name}`,
      onStart: startNote(terminal),
      onProgress: (facts) => terminal.progress(liveProgress(facts), plainProgress(facts), performance.now()),
    });
  } finally {
    stop.dispose();
  }
  report(outcome, command, options, terminal);
}

/** Says what is about to be simulated. */
export function startNote(terminal: Terminal): PointOptions['onStart'] {
  return ({ plan, replications, threads, sessions }) => {
    const arms = counted(plan.arms.length, 'arm');
    terminal.note(
      `kvcast ${VERSION} · ${plan.name} · ${arms} x ${counted(replications, 'replication')} · ${counted(sessions, 'session')} each · ${counted(threads, 'thread')}`,
    );
  };
}

/** Prints the findings of a result as warnings. */
export function tellFindings(result: Result, terminal: Terminal): void {
  for (const finding of result.health)
    terminal.diagnostics([{ severity: 'warning', text: `${finding.code} ${finding.message}. ${finding.remedy}` }]);
}

/** What a command's flags say about a point; the caller adds where to write and whom to tell. */
export function pointOptions(
  command: Result['command'],
  loaded: LoadedScenario,
  options: SimulationOptions,
  signal: AbortSignal,
  base: string,
): Omit<PointOptions, 'out' | 'onStart' | 'onProgress'> {
  return {
    command,
    kvcastVersion: VERSION,
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
    ...(options.executor === undefined ? {} : { executor: options.executor }),
    force: options.force ?? false,
    metrics: options.metric ?? [],
    ...(options.arm === undefined ? {} : { onlyArm: options.arm }),
    ...(options.baseline === undefined ? {} : { baseline: options.baseline }),
    ...(options.onlyRep === undefined ? {} : { onlyReplication: options.onlyRep }),
    verify: options.verify ?? false,
    timeLimitMs: options.timeLimit === undefined ? null : wallTime(options.timeLimit),
    signal,
    reproduce: reproduceText(base, loaded, options),
  };
}

function report(outcome: PointOutcome, command: Result['command'], options: SimulationOptions, terminal: Terminal): void {
  const { result, conducted } = outcome;
  tellFindings(result, terminal);
  const turns = conducted.results.flat().reduce((sum, r) => sum + r.facts.turns, 0);
  const rate = Math.round((turns / conducted.wallMs) * 1000);
  terminal.note(
    `${counted(conducted.results.flat().length, 'run')} in ${durationText(conducted.wallMs)} · ${thousands(turns)} requests, ${thousands(rate)} requests/s${outcome.folder === null ? '' : ` · wrote ${outcome.folder}/result.json`}`,
  );
  const text = (paint: typeof terminal.paint) =>
    command === 'run' || result.arms.length < 2 ? runText(result, paint) : comparisonText(result, paint);
  if (command === 'compare' && result.arms.length < 2)
    terminal.diagnostics([
      { severity: 'warning', text: `one arm (${result.arms[0]!.name}): nothing to compare. Add matrix or arms, or use kvcast run` },
    ]);
  writeReports(options, terminal, { text, json: () => outcome.json });
  if (result.truncated)
    terminal.note(`interrupted: wrote ${outcome.folder} (${result.trust.replications} of ${result.trust.planned} replications)`);
  raiseExit(exitOf(result, options));
}

/** The command with the flags that decide the result, nothing of this machine. */
export function reproduceText(base: string, loaded: LoadedScenario, options: SimulationOptions): string {
  const flags = [...(options.set ?? []).map((s) => `--set ${shellWord(s)}`), `--seed ${loaded.settings.seed}`];
  if (options.reps !== undefined) flags.push(`--reps ${options.reps}`);
  if (options.arm !== undefined) flags.push(`--arm ${shellWord(options.arm)}`);
  if (options.baseline !== undefined) flags.push(`--baseline ${shellWord(options.baseline)}`);
  if (options.onlyRep !== undefined) flags.push(`--only-rep ${options.onlyRep}`);
  for (const metric of options.metric ?? []) flags.push(`--metric ${shellWord(metric)}`);
  return `${base} ${flags.join(' ')}`;
}

/** A word as a shell reads it back: quoted where it holds more than letters, digits and harmless signs. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `1 run`, `40 runs` */
export function counted(n: number, thing: string): string {
  return `${thousands(n)} ${thing}${n === 1 ? '' : 's'}`;
}

/** Wall time of `--time-limit`, ms. Throws UserError. */
export function wallTime(text: string): number {
  const ms = parseScalar('duration', text, false);
  if (typeof ms !== 'number')
    throw new UserError({
      severity: 'error',
      code: ms.code,
      path: '--time-limit',
      message: `got ${text}, expected ${ms.expected}`,
      ...(ms.hint === undefined ? {} : { hint: ms.hint }),
    });
  return ms;
}

async function stdin(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) text += chunk;
  return text;
}
