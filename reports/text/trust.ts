/** The last lines of every result: levels, what was modelled how, invariants, warnings, hash, reproduce command. */
import type { Result } from '../../sim/experiment/result.ts';
import { fixed, scaled } from './numbers.ts';
import type { Paint } from './paint.ts';
import { wrap } from './table.ts';

const COLUMNS = 100;

/** Caveats that a reader needs to judge the numbers above. */
export function trustLines(result: Result, paint: Paint): string[] {
  const lines = [...statistics(result), ...facts(result)];
  return [...lines.map((l) => paint(l, 'dim')), `Reproduce: ${reproduce(result)}`];
}

function statistics(result: Result): string[] {
  const n = result.trust.replications;
  const arms = result.arms.length;
  const t = n > 1 ? `± 95 %, t(${n - 1}). ` : '';
  const adjusted = result.comparisons.find((c) => c.adjusted.level !== c.level)?.adjusted.level;
  const levelText = adjusted === undefined ? '' : ` at ${fixed(adjusted * 100, 1)} % (Bonferroni, ${arms - 1} arms)`;
  const marks = arms > 1 ? `Marks judge the paired difference from the baseline${levelText}, noise 1 % / 0.5 pp. ` : '';
  const w = result.workload;
  const volume = scaled(w.promptTokens / Math.max(1, n));
  const stop = n > 1 ? ` (stopped: ${result.trust.stopped})` : '';
  const what = arms > 1 ? 'paired replications' : n === 1 ? 'replication' : 'replications';
  return wrap(`${t}${marks}${n} ${what}${stop}, ${volume} prompt tokens each, censored ${w.sessionsCensored}.`, COLUMNS);
}

function facts(result: Result): string[] {
  const w = result.workload;
  const excluded = w.sessionsExcluded > 0 ? ` · excluded ${w.sessionsExcluded} overlong sessions` : '';
  const truncated = w.sessionsTruncated > 0 ? ` · truncated ${w.sessionsTruncated} overlong sessions` : '';
  const regime = result.metrics[0]?.regime;
  const cells = [...new Set(result.fleet.map((f) => f.cellLevel))].join(', ');
  const first = `pauses ${w.pauses} · sharing ${w.sharing} · gap cap ${w.gapCap}${excluded}${truncated}${regimeText(regime, cells)}`;
  const health = [...new Set(result.health.map((h) => h.code))];
  const warnings = health.length === 0 ? 'warnings none' : `warnings ${health.length}: ${health.join(' ')}`;
  const inert =
    result.inert.length === 0
      ? 'inert none'
      : `inert ${result.inert.length}: ${result.inert.map((i) => `${i.path} (${i.reason})`).join(', ')}`;
  const incomplete = result.incomplete.length === 0 ? '' : ` · incomplete ${result.incomplete.length}`;
  const second = `invariants ${result.trust.invariants.violations} violations · ${inert} · ${warnings}${incomplete} · result ${result.scenario.hash.slice(0, 8)}`;
  return [...wrap(first, COLUMNS, 2), ...wrap(second, COLUMNS, 2)];
}

function regimeText(regime: Result['metrics'][number]['regime'] | undefined, cells: string): string {
  if (regime === undefined) return '';
  const parts: string[] = [];
  if (regime.fitOnly > 0) parts.push(`fit-only ${fixed(regime.fitOnly * 100, 0)} %`);
  if (regime.calibrated > 0) parts.push(`calibrated ${fixed(regime.calibrated * 100, 0)} %`);
  if (regime.extrapolated > 0) parts.push(`extrapolated ${fixed(regime.extrapolated * 100, 0)} %`);
  return parts.length === 0 ? '' : ` · step times ${parts.join(', ')} (cell ${cells})`;
}

/** The command that repeats the result; free of paths outside the project. */
export function reproduce(result: Result): string {
  return result.reproduce;
}
