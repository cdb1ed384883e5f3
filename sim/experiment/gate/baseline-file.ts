/**
 * The baseline of a gate, `*.kvbase.json`: inputs, policy and values by replication of a run. Written with sorted keys, so that a
 * review shows what moved; read with every problem at its line. Source: experiments specification 5.1.
 */
import { readFileSync } from 'node:fs';
import { type Problem, UserError } from '../../../control/user-error.ts';
import type { Baseline } from '../../../scenarios/baseline.gen.ts';
import type { LoadedArm } from '../../../scenarios/load-scenario.ts';
import { nodeAt, toValue } from '../../../scenarios/located-tree.ts';
import { placeOf } from '../../../scenarios/problem-place.ts';
import { validate } from '../../../scenarios/validate-baseline.gen.ts';
import { parseSource } from '../../../scenarios/yaml-source.ts';
import { ROLL_UPS } from '../../measure/causes.ts';
import { boundMetric } from '../../measure/metric-expression.ts';
import type { JobResult } from '../job-result.ts';
import { tagged, untagged } from '../plan-file.ts';
import { type PolicySet, policyFacts } from '../policies.ts';
import type { ArmPlan } from '../run-plan.ts';
import { type GateInputs, leavesOfInput } from './input-leaves.ts';

export type { Baseline };

/** Version of the file's form; another major version is refused by the gate. */
export const BASELINE_FORMAT = '1.0';

/** Larger files are not reviewable any more. */
const MAX_BYTES = 200_000;

/** Who is written down. */
export interface BaselineSource {
  readonly kvcastVersion: string;
  readonly scenario: { readonly name: string; readonly hash: string };
  readonly arm: LoadedArm;
  readonly armPlan: ArmPlan;
  readonly inputs: GateInputs;
  readonly seed: number;
  readonly exprs: readonly string[];
  readonly results: readonly JobResult[];
  readonly exportedBy: string;
}

/** The policy of an arm: hash, written leaves, and presets with all parameters in base units. */
export function policyOf(arm: LoadedArm, { router, retention, admission, prefetch }: ArmPlan): Baseline['policy'] {
  // Parts that an arm has not are undefined, and JSON leaves them out.
  const resolved = { router, retention, admission, prefetch };
  return {
    hash: policyFacts({ router, retention, ...(admission && { admission }), ...(prefetch && { prefetch }) }).hash,
    leaves: leavesOfInput(arm.leaves(), 'policy'),
    resolved: JSON.parse(JSON.stringify(resolved, tagged)) as Baseline['policy']['resolved'],
  };
}

/** The policy as a plan holds it. */
export function resolvedPolicy(baseline: Pick<Baseline, 'policy'>): PolicySet {
  return JSON.parse(JSON.stringify(baseline.policy.resolved), untagged) as PolicySet;
}

/** A baseline of one simulated arm. */
export function baselineOf(source: BaselineSource): Baseline {
  const { results, inputs } = source;
  const metrics = source.exprs.map((expr) => {
    const { metric } = boundMetric(expr);
    return [expr, { unit: metric.unit, scale: metric.scale, values: results.map((r) => r.values[expr] ?? null) }] as const;
  });
  const counted = (['prompt', 'hbm', 'host', ...ROLL_UPS] as const).map((key) => [key, results.map((r) => r.sources[key])] as const);
  return {
    formatVersion: BASELINE_FORMAT,
    kvcastVersion: source.kvcastVersion,
    scenario: { ...source.scenario, arm: source.arm.name },
    inputs: { ...inputs, workloadHash: [...inputs.workloadHash], leaves: { ...inputs.leaves } },
    policy: policyOf(source.arm, source.armPlan),
    metrics: Object.fromEntries(metrics),
    tokens: Object.fromEntries(counted.filter(([key, tokens]) => key === 'prompt' || tokens.some((n) => n > 0))),
    seeds: [source.seed],
    replications: results.length,
    runHashes: results.map((r) => r.runHash),
    exportedBy: source.exportedBy,
  };
}

/** The bytes of a baseline: keys sorted, lists of numbers on one line. Throws UserError E_BASELINE_SIZE above 200 KB. */
export function baselineText(baseline: Baseline): string {
  const text = `${JSON.stringify(sorted(baseline), null, 2).replace(NUMBER_LIST, (list) => list.replace(/\s+/g, ' ').replace(/^\[ | \]$/g, (end) => end.trim()))}\n`;
  if (Buffer.byteLength(text) > MAX_BYTES)
    throw new UserError({
      severity: 'error',
      code: 'E_BASELINE_SIZE',
      message: `got ${Buffer.byteLength(text)} bytes of baseline, expected at most ${MAX_BYTES}`,
      hint: 'Use fewer replications or fewer metrics',
    });
  return text;
}

const NUMBER_LIST = /\[\s*(?:(?:-?[\d.e+-]+|null),?\s*)+\]/g;

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
}

/**
 * Reads a baseline; `shown` is its name in messages. Of a file of another major version only `formatVersion` can be relied on.
 * Throws UserError E_FILE, E_BASELINE.
 */
export function readBaseline(path: string, shown: string): Baseline {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String((error as NodeJS.ErrnoException).code);
    throw new UserError({
      severity: 'error',
      code: 'E_FILE',
      file: shown,
      message: `cannot read (${why})`,
      hint: 'Make it with kvcast gate SCENARIO --update',
    });
  }
  return parseBaseline(text, shown);
}

/** The same from text. */
export function parseBaseline(text: string, shown: string): Baseline {
  const { root, problems } = parseSource(text, shown);
  const problem = (at: Partial<Problem>, message: string): Problem => ({
    severity: 'error',
    code: 'E_BASELINE',
    file: shown,
    ...at,
    message,
    hint: 'Make it again with kvcast gate SCENARIO --update',
  });
  if (root === undefined) throw new UserError(problem(pick(problems[0]), problems[0]?.message ?? 'got an empty file, expected a baseline'));
  const value = toValue(root) as Baseline;
  if (isOtherMajor(value)) return value;
  const check = validate as unknown as { (value: unknown): boolean; errors?: readonly SchemaError[] | null };
  if (!check(value))
    throw new UserError(
      (check.errors ?? []).slice(0, 5).map((error) => {
        const steps = error.instancePath
          .split('/')
          .slice(1)
          .map((s) => s.replaceAll('~1', '/').replaceAll('~0', '~'));
        const node = nodeAt(
          root,
          steps.map((s) => (/^\d+$/.test(s) ? Number(s) : s)),
        );
        return problem({ ...placeOf(node?.origin), ...(steps.length === 0 ? {} : { path: steps.join('.') }) }, schemaText(error));
      }),
    );
  const wrong = Object.entries(value.metrics).find(([, m]) => m!.values.length !== value.replications);
  if (wrong !== undefined)
    throw new UserError(
      problem(
        { path: `metrics.${wrong[0]}`, ...placeOf(nodeAt(root, ['metrics', wrong[0]])?.origin) },
        `got ${wrong[1]!.values.length} values, expected ${value.replications} (replications)`,
      ),
    );
  return value;
}

/** Whether a file has another major version of the format, so that nothing else in it can be compared. */
export function isOtherMajor(baseline: Pick<Baseline, 'formatVersion'>): boolean {
  const { formatVersion } = baseline;
  return typeof formatVersion === 'string' && /^\d+\./.test(formatVersion) && formatVersion.split('.')[0] !== BASELINE_FORMAT.split('.')[0];
}

interface SchemaError {
  readonly instancePath: string;
  readonly message?: string;
  readonly params: Readonly<Record<string, unknown>>;
}

function schemaText(error: SchemaError): string {
  const extra = error.params['additionalProperty'];
  return extra === undefined ? `this ${error.message ?? 'does not fit the schema'}` : `unknown key ${String(extra)}`;
}

function pick(problem: Problem | undefined): Partial<Problem> {
  return problem?.line === undefined ? {} : { line: problem.line, column: problem.column ?? 1 };
}
