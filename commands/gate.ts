/** gate: does a change of policy make it worse? Judged against a baseline file, another scenario, or another revision. */
import { join } from 'node:path';
import { UserError } from '../control/user-error.ts';
import { gateAnnotations } from '../reports/github.ts';
import { gateJunit } from '../reports/junit.ts';
import { gateComment } from '../reports/markdown/gate-comment.ts';
import { liveProgress, plainProgress } from '../reports/progress.ts';
import type { Terminal } from '../reports/terminal.ts';
import { gateText } from '../reports/text/gate.ts';
import type { LoadedArm, LoadedScenario } from '../scenarios/load-scenario.ts';
import { didYouMean } from '../scenarios/spelling.ts';
import { strongestExit } from '../sim/experiment/exit-state.ts';
import { type Baseline, baselineOf, resolvedPolicy } from '../sim/experiment/gate/baseline-file.ts';
import type { GateResult } from '../sim/experiment/gate/gate-result.ts';
import { type GateRules, gateRules, measuredExprs } from '../sim/experiment/gate/gate-rules.ts';
import { armOf, type GateInputs, gateInputs, workloadHashOf } from '../sim/experiment/gate/input-leaves.ts';
import { type GateCase, type NamedBaseline, reduceGate, refusal, updated } from '../sim/experiment/gate/reduce-gate.ts';
import type { JobResult } from '../sim/experiment/job-result.ts';
import { planOf } from '../sim/experiment/plan-of.ts';
import type { PolicySet } from '../sim/experiment/policies.ts';
import { roundNumber } from '../sim/experiment/result-json.ts';
import type { ArmPlan, RunPlan } from '../sim/experiment/run-plan.ts';
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { NothingCompleteError, type PointOutcome, simulatePoint } from '../sim/experiment/simulate-point.ts';
import { ResultStore } from '../sim/experiment/store.ts';
import { VERSION } from '../version.ts';
import { interruptionCode, raiseExit } from './exit-code.ts';
import { baselinePlace, gateReproduce, otherScenario, readIfThere, readNamed, writeBaseline } from './gate-baseline.ts';
import { interruption } from './interruption.ts';
import { writeReports, writeWhole } from './reporters.ts';
import { load, pointOptions, type SimulationOptions, startNote, tellFindings } from './simulation.ts';
import { terminalOf } from './terminal.ts';

export interface GateOptions extends SimulationOptions {
  /** Baseline file; default gate.baseline of the scenario. */
  readonly update?: boolean;
  /** Scenario file, or git:REF. */
  readonly against?: string;
  readonly allowInputChange?: boolean;
  readonly requireConclusive?: boolean;
  readonly timestamps?: boolean;
}

/** Arm that carries the old policy on the new inputs. */
const OLD_POLICY = 'baseline policy';

/** `kvcast gate SCENARIO --baseline FILE` */
export async function gate(scenario: string, options: GateOptions): Promise<void> {
  const terminal = terminalOf(options);
  if (options.onlyRep !== undefined)
    throw new UserError({
      severity: 'error',
      code: 'E_USAGE',
      path: '--only-rep',
      message: 'got one replication, expected pairs: a gate judges differences over replications',
      hint: 'Use --reps N for the first N pairs of the baseline',
    });
  const loaded = await load(scenario, options, terminal);
  const gateCase = await caseOf(loaded, options.arm, gateReproduce(scenario, options));
  const folder = options.out ?? `kvcast-out/${loaded.settings.name}`;
  const stop = interruption(terminal);
  const context: Context = { options, terminal, folder, signal: stop.signal };
  let document: GateResult;
  try {
    document = options.update === true ? await update(gateCase, context) : await compare(gateCase, context);
  } finally {
    stop.dispose();
  }
  report(document, context);
}

interface Context {
  readonly options: GateOptions;
  readonly terminal: Terminal;
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Compiles a scenario for a gate and finds out its inputs; nothing is simulated. */
async function caseOf(loaded: LoadedScenario, armName: string | undefined, reproduce: string): Promise<GateCase> {
  const rules = gateRules(loaded);
  const arm = pickArm(loaded, armName);
  const plan = onlyNeeded(planOf(loaded, { metrics: measuredExprs(rules), baseline: arm.name }), arm, rules);
  const trace = await prepareTrace(plan);
  const inputs = gateInputs(arm, plan, trace, [workloadHashOf(plan, trace, 0)]);
  return { loaded, arm, plan, inputs, rules, kvcastVersion: VERSION, reproduce };
}

/** The arm that is judged. Throws UserError E_GATE_ARMS. */
function pickArm(loaded: LoadedScenario, name: string | undefined): LoadedArm {
  const names = loaded.arms.map((arm) => arm.name);
  const arm = name === undefined && names.length === 1 ? loaded.arms[0] : loaded.arms.find((a) => a.name === name);
  if (arm !== undefined) return arm;
  const hint = name === undefined ? 'Pick one with --arm NAME' : (didYouMean(name, names) ?? `Arms: ${names.join(', ')}`);
  throw new UserError({
    severity: 'error',
    code: 'E_GATE_ARMS',
    file: loaded.file,
    message:
      name === undefined
        ? `got ${names.length} arms (${names.join(', ')}), expected one`
        : `got arm ${name}, expected one of the scenario's`,
    hint,
  });
}

/** The judged arm and those that thresholds refer to. */
function onlyNeeded(plan: RunPlan, arm: LoadedArm, rules: GateRules): RunPlan {
  const wanted = new Set([arm.name, ...rules.thresholds.map((rule) => rule.vs)]);
  return { ...plan, arms: plan.arms.filter((a) => wanted.has(a.name)) };
}

/** Judges against a baseline; simulates only when the inputs are equal or may differ. */
async function compare(gateCase: GateCase, context: Context): Promise<GateResult> {
  const { options } = context;
  if (options.against !== undefined) return compareScenarios(gateCase, options.against, context);
  const named = readNamed(gateCase.loaded, options.baseline);
  const refused = refusal(gateCase, named);
  if (refused !== null && options.allowInputChange !== true) return refused;
  return judge(gateCase, named, refused !== null, context);
}

/** Simulates the other scenario first, under its own rule for replications, then the candidate as often. */
async function compareScenarios(gateCase: GateCase, against: string, context: Context): Promise<GateResult> {
  const { options, terminal } = context;
  const other = await otherScenario(against, gateCase.loaded.file, options, terminal);
  try {
    const own = await caseOf(other.loaded, other.loaded.arms.length === 1 ? undefined : gateCase.arm.name, gateCase.reproduce);
    // The rules are the candidate's: its gate section is what a pull request is judged by.
    const reference: GateCase = { ...own, rules: gateCase.rules };
    const refused = refusal(gateCase, { source: against, baseline: exported(reference, []) });
    if (refused !== null && options.allowInputChange !== true) return refused;
    const { result, conducted } = await simulate(reference, { ...context, folder: null }, {});
    if (result.truncated) throw new NothingCompleteError(`${against} was not simulated to its end`);
    return await judge(gateCase, { source: against, baseline: exported(reference, conducted.results[0]!) }, refused !== null, context);
  } finally {
    other.dispose();
  }
}

/** Simulates the candidate as often as the baseline was, with the old policy beside it where the inputs are other ones. */
async function judge(gateCase: GateCase, named: NamedBaseline, isOtherInputs: boolean, context: Context): Promise<GateResult> {
  const { options, terminal } = context;
  const stored = named.baseline.replications;
  if (options.reps !== undefined && options.reps > stored)
    terminal.note(`${options.reps} replications asked, the baseline has ${stored}: the others would have no partner and are left out`);
  const outcome = await simulate(gateCase, context, {
    replications: Math.min(options.reps ?? stored, stored),
    ...(isOtherInputs ? { oldPolicy: resolvedPolicy(named.baseline) } : {}),
  });
  const { plan, conducted, result } = outcome;
  const arms = Object.fromEntries(plan.arms.map((arm, a) => [arm.name, conducted.results[a]!]));
  const whole: GateCase = { ...gateCase, inputs: inputsOf(gateCase, arms[gateCase.arm.name]!) };
  tellFindings(result, terminal);
  const oldPolicy = arms[OLD_POLICY];
  return (
    (isOtherInputs ? null : refusal(whole, named)) ??
    reduceGate(
      whole,
      named,
      { result, arms, ...(oldPolicy === undefined ? {} : { oldPolicy }) },
      { requireConclusive: options.requireConclusive ?? false, enforceSlo: options.enforceSlo ?? false },
    )
  );
}

/** Simulates the scenario under its own rule for replications and writes the baseline. Throws UserError E_BASELINE_REFUSED. */
async function update(gateCase: GateCase, context: Context): Promise<GateResult> {
  const { options, terminal } = context;
  const place = baselinePlace(gateCase.loaded, options.baseline);
  const outcome = await simulate(gateCase, context, {});
  const { result, conducted } = outcome;
  tellFindings(result, terminal);
  const why = result.truncated
    ? 'it was interrupted'
    : result.incomplete.length > 0
      ? `${result.incomplete.length} runs hit a limit`
      : (result.health.find((finding) => finding.code === 'W_SATURATED')?.message ?? null);
  if (why !== null && options.force !== true)
    throw new UserError(
      {
        severity: 'error',
        code: 'E_BASELINE_REFUSED',
        file: place.shown,
        message: `got a run that makes no baseline: ${why}`,
        hint: 'Mend it, or add --force',
      },
      result.truncated ? interruptionCode() : 2,
    );
  const results = conducted.results[0]!;
  const whole: GateCase = { ...gateCase, inputs: inputsOf(gateCase, results) };
  const before = readIfThere(place);
  const baseline = exported(whole, results);
  writeBaseline(place, baseline);
  terminal.note(`wrote ${place.shown}`);
  return updated(whole, before, { source: place.shown, baseline }, { result, arms: { [gateCase.arm.name]: results } });
}

interface Simulation {
  /** Exactly so many; default: the rule of the scenario. */
  readonly replications?: number;
  /** Runs beside the candidate, on the same workloads. */
  readonly oldPolicy?: PolicySet;
}

function simulate(
  gateCase: GateCase,
  context: Omit<Context, 'folder'> & { readonly folder: string | null },
  simulation: Simulation,
): Promise<PointOutcome> {
  const { loaded, arm, rules, reproduce } = gateCase;
  const { options, terminal, folder, signal } = context;
  const { arm: _arm, baseline: _baseline, onlyRep: _onlyRep, metric = [], ...kept } = options;
  const { oldPolicy, replications } = simulation;
  return simulatePoint(loaded, {
    ...pointOptions('run', loaded, { ...kept, metric: [...measuredExprs(rules), ...metric] }, signal, ''),
    baseline: arm.name,
    reproduce,
    out: folder,
    ...(replications === undefined ? {} : { replications }),
    amend: (compiled) => {
      const plan = onlyNeeded(compiled, arm, rules);
      return oldPolicy === undefined ? plan : { ...plan, arms: [...plan.arms, withPolicy(armOf(plan, arm.name), oldPolicy)] };
    },
    onStart: startNote(terminal),
    onProgress: (facts) => terminal.progress(liveProgress(facts), plainProgress(facts), performance.now()),
  });
}

function withPolicy(arm: ArmPlan, policy: PolicySet): ArmPlan {
  const { admission: _admission, prefetch: _prefetch, ...rest } = arm;
  return { ...rest, ...policy, name: OLD_POLICY };
}

/** The inputs with the workloads of all replications. */
function inputsOf({ inputs }: GateCase, results: readonly JobResult[]): GateInputs {
  return { ...inputs, workloadHash: results.map((r) => r.workloadHash) };
}

function exported({ loaded, arm, plan, inputs, rules, reproduce }: GateCase, results: readonly JobResult[]): Baseline {
  return baselineOf({
    kvcastVersion: VERSION,
    scenario: { name: loaded.settings.name, hash: arm.armId },
    arm,
    armPlan: armOf(plan, arm.name),
    inputs,
    seed: plan.seed,
    exprs: measuredExprs(rules),
    results,
    exportedBy: reproduce,
  });
}

/** Writes gate.json, prints what was asked for, sets the exit code. */
function report(document: GateResult, { options, terminal, folder }: Context): void {
  const json = `${JSON.stringify(document, roundNumber, 2)}\n`;
  // A refusal has simulated nothing, so nobody has made the directory or cleared it of an older result.
  if (document.verdict === 'refused') new ResultStore(folder, options.force ?? false);
  writeWhole(join(folder, 'gate.json'), json);
  terminal.note(`wrote ${folder}/gate.json`);
  if (document.verdict === 'refused')
    terminal.diagnostics([
      { severity: 'error', text: "E_GATE_INPUTS inputs differ from the baseline; a difference would not be the policy's." },
    ]);
  writeReports(options, terminal, {
    text: (paint) => gateText(document, paint),
    json: () => json,
    md: () => gateComment(document),
    junit: () => gateJunit(document, options.timestamps === true ? new Date().toISOString() : undefined),
    github: () => gateAnnotations(document),
  });
  if (document.verdict === 'refused')
    terminal.note('Undo the change, --allow-input-change (splits Δ into inputs + policy), or --update to accept it.');
  const isFinding = options.strict === true && (document.health.length > 0 || document.inert.length > 0);
  raiseExit(strongestExit([document.exit.code === 130 ? interruptionCode() : document.exit.code, isFinding ? 3 : 0]));
}
