/** From a baseline and a simulated candidate to the document of a gate. Pure. Source: experiments specification 5.3 to 5.5, 2.3. */
import type { LoadedArm, LoadedScenario } from '../../../scenarios/load-scenario.ts';
import { ROLL_UPS } from '../../measure/causes.ts';
import { pairedDifference } from '../../measure/statistics.ts';
import { strongestExit } from '../exit-state.ts';
import type { JobResult } from '../job-result.ts';
import type { Result } from '../result.ts';
import type { RunPlan } from '../run-plan.ts';
import { type Baseline, policyOf } from './baseline-file.ts';
import { inputRows, policyChanges } from './compare-inputs.ts';
import {
  type CheckRow,
  GATE_FORMAT,
  type GateResult,
  type GateVerdict,
  type GateVerdictRow,
  type SplitRow,
  type WhyRow,
} from './gate-result.ts';
import type { GateRules, MetricRule } from './gate-rules.ts';
import { armOf, type GateInputs } from './input-leaves.ts';
import { judgeMetrics, judgeThresholds, type ValuesOf } from './judge.ts';

/** What a gate knows before it simulates. */
export interface GateCase {
  readonly loaded: LoadedScenario;
  readonly arm: LoadedArm;
  readonly plan: RunPlan;
  readonly inputs: GateInputs;
  readonly rules: GateRules;
  readonly kvcastVersion: string;
  readonly reproduce: string;
}

/** A baseline and the name it was found under. */
export interface NamedBaseline {
  readonly source: string;
  readonly baseline: Baseline;
}

/** A simulated candidate. `arms` holds every arm that was run, by name. */
export interface GateRun {
  readonly result: Result;
  readonly arms: Readonly<Record<string, readonly JobResult[]>>;
  /** With --allow-input-change: the old policy on the new inputs. */
  readonly oldPolicy?: readonly JobResult[];
}

export interface GateFlags {
  readonly requireConclusive: boolean;
  readonly enforceSlo: boolean;
}

/** What is common to every outcome of a gate. */
function frame(gate: GateCase, named: NamedBaseline | null) {
  const { loaded, arm, plan, rules } = gate;
  const policy = policyOf(arm, armOf(plan, arm.name));
  return {
    formatVersion: GATE_FORMAT,
    scenario: { name: loaded.settings.name, hash: arm.armId },
    kvcastVersion: gate.kvcastVersion,
    arm: arm.name,
    file: loaded.file,
    baseline:
      named === null
        ? null
        : { source: named.source, kvcastVersion: named.baseline.kvcastVersion, policyHash: named.baseline.policy?.hash ?? '-' },
    policyHash: policy.hash,
    policy: named?.baseline.policy === undefined ? [] : policyChanges(named.baseline, gate, policy.hash),
    level: rules.level,
    familywise: rules.familywise,
    reproduce: gate.reproduce,
  };
}

/** The document of a gate that does not judge because inputs differ; null if they are equal. */
export function refusal(gate: GateCase, named: NamedBaseline): GateResult | null {
  const rows = inputRows(named.baseline, gate);
  const different = rows.filter((row) => !row.equal);
  if (different.length === 0) return null;
  const { formatVersion, scenario, ...rest } = frame(gate, named);
  return {
    formatVersion,
    scenario,
    verdict: 'refused',
    inputs: { equal: false, rows },
    verdicts: [],
    checks: [],
    why: [],
    exit: { code: 13, reasons: [`refused: ${different.map((row) => row.input).join(', ')}`] },
    ...rest,
    replications: 0,
    requireConclusive: false,
    slo: [],
    health: [],
    inert: [],
    notes: [],
    invariants: null,
  };
}

/** Judges a candidate against a baseline with the same inputs, or against the old policy on its own inputs. */
export function reduceGate(gate: GateCase, named: NamedBaseline, run: GateRun, flags: GateFlags): GateResult {
  const { rules } = gate;
  const { baseline } = named;
  const candidate = valuesOf(run.arms[gate.arm.name]!);
  const stored: ValuesOf = (expr) => baseline.metrics[expr]?.values ?? [];
  const reference = run.oldPolicy === undefined ? stored : valuesOf(run.oldPolicy);
  const verdicts = judgeMetrics(rules, reference, candidate);
  const checks = judgeThresholds(rules, reference, candidate, (name) => valuesOf(run.arms[name]!));
  const slo = run.result.slo
    .filter((row) => row.scope === 'run' && row.arm === gate.arm.name && row.level === 'error')
    .map(({ name, expr, verdict }) => ({ name, expr, verdict: verdict ?? 'open' }));
  const replications = Math.min(baseline.replications, run.arms[gate.arm.name]!.length);
  const reasons = exitReasons(verdicts, checks, slo, flags, run.result);
  const code = strongestExit(reasons.map((reason) => reason.code));
  const { formatVersion, scenario, ...rest } = frame(gate, named);
  const missing = rules.metrics.filter((rule) => baseline.metrics[rule.expr] === undefined && run.oldPolicy === undefined);
  return {
    formatVersion,
    scenario,
    verdict: run.result.truncated ? 'partial' : verdictOf(reasons.map((reason) => reason.code)),
    inputs: { equal: run.oldPolicy === undefined, rows: inputRows(baseline, gate) },
    verdicts,
    checks,
    why: whyRows(verdicts, run.oldPolicy === undefined ? baseline.tokens : tokensOf(run.oldPolicy), run.arms[gate.arm.name]!),
    exit: { code, reasons: reasons.map((reason) => reason.text) },
    ...rest,
    replications,
    requireConclusive: flags.requireConclusive,
    ...(run.oldPolicy === undefined ? {} : { split: rules.metrics.map((rule) => splitRow(rule, stored, reference, candidate)) }),
    slo,
    health: run.result.health.map(({ code, message }) => ({ code, message })),
    inert: run.result.inert.map(({ path, reason }) => `${path} (${reason})`),
    notes: missing.map((rule) => `${rule.expr} is not in the baseline: --update adds it`),
    invariants: run.result.trust.invariants,
  };
}

/** What --update did: the new baseline against the file that was there before, where their inputs are equal. Always exit 0. */
export function updated(gate: GateCase, before: Baseline | null, named: NamedBaseline, run: GateRun): GateResult {
  const flags = { requireConclusive: false, enforceSlo: false };
  const old: NamedBaseline = { source: named.source, baseline: before ?? named.baseline };
  const compared = refusal(gate, old) ?? reduceGate(gate, old, run, flags);
  return {
    ...compared,
    verdict: 'updated',
    exit: { code: 0, reasons: [] },
    baseline: { source: named.source, kvcastVersion: named.baseline.kvcastVersion, policyHash: named.baseline.policy.hash },
    replications: named.baseline.replications,
    checks: [],
    notes: before === null ? ['there was no baseline before'] : [],
  };
}

/** Values of an expression in a list of replications. */
export function valuesOf(results: readonly JobResult[]): ValuesOf {
  return (expr) => results.map((r) => r.values[expr] ?? null);
}

interface Reason {
  readonly code: number;
  readonly text: string;
}

function exitReasons(
  verdicts: readonly GateVerdictRow[],
  checks: readonly CheckRow[],
  slo: GateResult['slo'],
  flags: GateFlags,
  result: Result,
): Reason[] {
  const reasons: Reason[] = result.exit.reasons.map((text) => ({ code: result.exit.code, text }));
  const count = (code: number, n: number, word: string): void => {
    if (n > 0) reasons.push({ code, text: `${word}: ${n}` });
  };
  const errors = verdicts.filter((row) => row.severity === 'error');
  const bounds = checks.filter((row) => row.level === 'error');
  count(11, errors.filter((row) => row.verdict === 'regressed').length, 'regressed');
  count(10, bounds.filter((row) => row.verdict === 'fail').length, 'thresholds failed');
  if (flags.enforceSlo) count(10, slo.filter((row) => row.verdict === 'fail').length, 'SLOs failed');
  if (flags.requireConclusive)
    count(
      12,
      errors.filter((row) => row.verdict === 'inconclusive').length + bounds.filter((row) => row.verdict === 'open').length,
      'inconclusive',
    );
  return reasons;
}

/** The word for the codes that apply; a regression is named before a breach, though the breach decides the exit code. */
function verdictOf(codes: readonly number[]): GateVerdict {
  if (codes.includes(11)) return 'regressed';
  if (codes.includes(10)) return 'breached';
  return codes.includes(12) ? 'inconclusive' : 'pass';
}

/** Names of the parts of a difference in hits: what served prompt tokens less, or missed them more. */
function whyRows(verdicts: readonly GateVerdictRow[], tokens: Baseline['tokens'], results: readonly JobResult[]): WhyRow[] {
  const prompt = tokens['prompt'] ?? [];
  const n = Math.min(prompt.length, results.length);
  const moved = verdicts.find((row) => row.expr === 'kv.hit.total' && row.delta !== null && row.delta !== 0);
  if (moved === undefined || n === 0) return [];
  const rows = ROLL_UPS.map((cause): WhyRow => {
    let sum = 0;
    for (let r = 0; r < n; r++) {
      const { sources } = results[r]!;
      sum += (tokens[cause]?.[r] ?? 0) / Math.max(1, prompt[r]!) - sources[cause] / Math.max(1, sources.prompt);
    }
    return { row: `kv.hit.${cause}`, delta: (100 * sum) / n, unit: 'pp', of: moved.expr };
  });
  return rows.filter((row) => row.delta !== 0).sort((a, b) => Math.abs(b.delta) - Math.abs(a.delta) || (a.row < b.row ? -1 : 1));
}

function tokensOf(results: readonly JobResult[]): Baseline['tokens'] {
  return Object.fromEntries((['prompt', ...ROLL_UPS] as const).map((key) => [key, results.map((r) => r.sources[key])]));
}

/** Baseline to candidate = baseline to old policy on the new inputs + old policy to candidate; exact in the units of the difference's scale. */
function splitRow(rule: MetricRule, stored: ValuesOf, oldPolicy: ValuesOf, candidate: ValuesOf): SplitRow {
  const n = Math.min(stored(rule.expr).length, oldPolicy(rule.expr).length, candidate(rule.expr).length);
  const three = Array.from(
    { length: n },
    (_, r) => [stored(rule.expr)[r]!, oldPolicy(rule.expr)[r]!, candidate(rule.expr)[r]!] as const,
  ).filter((v) => v.every((x) => x !== null)) as (readonly [number, number, number])[];
  const difference = (from: 0 | 1 | 2, to: 0 | 1 | 2) =>
    pairedDifference(
      three.map((v) => v[from]),
      three.map((v) => v[to]),
      { scale: rule.scale, better: 'none' },
    );
  const total = difference(0, 2);
  return {
    expr: rule.expr,
    unit: total.unit === '' ? rule.metric.unit : total.unit,
    total: total.delta,
    inputs: difference(0, 1).delta,
    policy: difference(1, 2).delta,
  };
}
