/** The question of `kvcast plan`: the section `plan` of a scenario as numbers, and the configurations that it spans. */
import { UserError } from '../../../control/user-error.ts';
import type { LoadedScenario, Override } from '../../../scenarios/load-scenario.ts';
import { parseScalar } from '../../../scenarios/scalars.ts';
import { axisFromFile, combineAxes, type WrittenAxis } from '../../../scenarios/sweep-axes.ts';

/** The leaf that is searched, and its range (whole numbers, inclusive). */
export interface SizeRange {
  readonly path: string;
  readonly min: number;
  readonly max: number;
}

/** One configuration with one value per varied leaf; its size is searched. */
export interface Candidate {
  /** Position in the written order: configurations, then axes with the last one fastest. */
  readonly index: number;
  readonly config: string;
  /** Varied leaves: short name and value as written. */
  readonly varied: readonly { readonly name: string; readonly value: string }[];
  readonly overrides: readonly Override[];
  readonly size: SizeRange;
}

/** Workers lost at once during the measured window. */
export interface FailureTest {
  /** 0 = no such test. */
  readonly workers: number;
  readonly forMs: number;
  /** Objectives that must hold from the loss to the end; null = all. */
  readonly slos: readonly string[] | null;
}

/** A leaf of a written tornado with its two values. */
export interface WrittenSwing {
  readonly path: string;
  readonly low: unknown;
  readonly high: unknown;
}

/** What is asked. Defaults: experiments specification 1.4. */
export interface CapacityQuestion {
  /** Metric expression that is minimised. */
  readonly minimize: string;
  readonly candidates: readonly Candidate[];
  /** Load reserve, 0.2 = 20 %. */
  readonly headroom: number;
  readonly failure: FailureTest;
  /** Load factors, ascending. */
  readonly growth: readonly number[];
  readonly sensitivity: 'default' | 'none' | readonly WrittenSwing[];
}

/** Most configurations times values. */
const MOST_CANDIDATES = 500;

/** Reads the question. Throws UserError: E_PLAN_SIZE, E_SWEEP_AXIS, E_SWEEP_POINTS, E_SLO_METRIC. */
export function questionOf(loaded: LoadedScenario): CapacityQuestion {
  const plan = loaded.scenario.plan ?? {};
  const sensitivity = plan.sensitivity ?? 'default';
  const question: CapacityQuestion = {
    minimize: plan.minimize ?? 'cost.usdPerHour',
    candidates: candidatesOf(loaded),
    headroom: scalar('share', plan.headroom ?? '20%'),
    failure: {
      workers: plan.failure?.workers ?? 1,
      forMs: scalar('duration', plan.failure?.for ?? '30m'),
      slos: plan.failure?.slo ?? null,
    },
    growth: plan.growth ?? [0.5, 0.75, 1, 1.25, 1.5, 2, 3],
    sensitivity: Array.isArray(sensitivity) ? (sensitivity as unknown as readonly WrittenSwing[]) : (sensitivity as 'default' | 'none'),
  };
  checkObjectives(loaded, question);
  return question;
}

function scalar(kind: 'share' | 'duration', value: unknown): number {
  const number = parseScalar(kind, value);
  if (typeof number !== 'number') throw new Error(`${String(value)} passed the loader but is no ${kind}`);
  return number;
}

function candidatesOf(loaded: LoadedScenario): Candidate[] {
  const plan = loaded.scenario.plan ?? {};
  const axes = (plan.vary ?? []).map((axis, i) =>
    axisFromFile(loaded.tree, axis as WrittenAxis, loaded.origin(`plan.vary.${i}.path`) ?? { kind: 'file' }),
  );
  const points = axes.length === 0 ? [{ values: [] }] : combineAxes(axes, 'grid', MOST_CANDIDATES, loaded.origin('plan.vary'));
  const configs = plan.configs ?? [{ name: loaded.settings.fleet.pools[0]!.name }];
  if (configs.length * points.length > MOST_CANDIDATES) {
    const message = `got ${configs.length} configurations x ${points.length} values, expected at most ${MOST_CANDIDATES} together`;
    throw problem(loaded, 'E_SWEEP_POINTS', 'plan.vary', message, 'Drop values or configurations');
  }
  const base = { path: `fleet.pools.${loaded.settings.fleet.pools[0]!.name}.workers`, min: 1, max: 256, ...definedOf(plan.size) };
  return configs.flatMap((config, c) =>
    points.map((point, p): Candidate => {
      const size = { ...base, ...definedOf('size' in config ? (config.size as Partial<SizeRange>) : undefined) };
      if (size.min > size.max) {
        const message = `got min ${size.min} above max ${size.max}, expected min <= max`;
        throw problem(loaded, 'E_PLAN_SIZE', 'plan.size', message, 'Raise plan.size.max');
      }
      const set = Object.entries((config.set ?? {}) as Record<string, unknown>);
      return {
        index: c * points.length + p,
        config: config.name,
        varied: point.values.map((v) => ({ name: shortName(v.path), value: String(v.value) })),
        overrides: [
          ...set.map(([path, value]) => ({ path, value, flag: `plan.configs.${config.name}` })),
          ...point.values.map((v) => ({ path: v.path, value: v.value, flag: `plan.vary ${v.label}` })),
        ],
        size,
      };
    }),
  );
}

function definedOf<T extends object>(part: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(part ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Last words of paths that say nothing alone. */
const VAGUE = new Set(['size', 'use', 'read', 'write', 'workers']);

/** `ttl` of control.retention.with.ttl, `host` of fleet.pools.main.tiers.host.size. */
export function shortName(path: string): string {
  const words = path.split('.');
  const last = words[words.length - 1]!;
  return VAGUE.has(last) && words.length > 1 ? words[words.length - 2]! : last;
}

/** A plan needs something to meet: an objective of the whole run. */
function checkObjectives(loaded: LoadedScenario, question: CapacityQuestion): void {
  const names = loaded.settings.slo.filter((s) => s.scope === 'run' && s.level === 'error').map((s) => s.name);
  if (names.length === 0) {
    const hint = 'For example slo: [{name: first-token, expr: "turn.ttft.p(95) < 3s", scope: run, level: error}]';
    throw problem(loaded, 'E_PLAN_SLO', 'slo', 'got no objective of scope run and level error, expected at least one', hint);
  }
  const unknown = question.failure.slos?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw problem(loaded, 'E_PLAN_SLO', 'plan.failure.slo', `got ${unknown}, expected one of ${names.join(', ')}`, 'Name run-scope SLOs');
}

function problem(loaded: LoadedScenario, code: string, path: string, message: string, hint: string): UserError {
  return new UserError({ severity: 'error', code, ...loaded.locate(path), path, message, hint });
}
