/** The last lines of every result: levels, what was modelled how, invariants, warnings, hash, reproduce command. */
import type { Result } from '../../sim/experiment/result.ts';
import { fixed, scaled } from './numbers.ts';
import type { Paint } from './paint.ts';
import { width, wrap, wrapCommand, wrapItems } from './table.ts';
import { tailLegend } from './tail.ts';

const COLUMNS = 100;

/** Caveats that a reader needs to judge the numbers above. */
export function trustLines(result: Result, paint: Paint): string[] {
  const lines = [...tailLegend(result.metrics), ...statistics(result), ...facts(result)];
  return [...lines.map((l) => paint(l, 'dim')), ...wrapCommand(`Reproduce: ${reproduce(result)}`, COLUMNS)];
}

function statistics(result: Result): string[] {
  const n = result.trust.replications;
  const arms = result.arms.length;
  const t = n > 1 ? `± 95 %, t(${n - 1}). ` : '';
  const adjusted = result.comparisons.find((c) => c.adjusted.level !== c.level)?.adjusted.level;
  const levelText = adjusted === undefined ? '' : ` at ${fixed(adjusted * 100, 1)} % (Bonferroni, ${arms - 1} arms)`;
  const judged = result.comparisons.length > 0;
  const marks = judged ? `Marks judge the paired difference from the baseline${levelText}, noise 1 % / 0.5 pp. ` : '';
  const w = result.workload;
  const volume = scaled(w.promptTokens / Math.max(1, n));
  const stop = n > 1 ? ` (${stoppedText(result)})` : '';
  const what = `${judged ? 'paired ' : ''}replication${n === 1 ? '' : 's'}`;
  return wrap(
    `${t}${marks}${n} ${what}${stop}, ${volume} prompt tokens${n === 1 ? '' : ' each'}, censored ${w.sessionsCensored}.`,
    COLUMNS,
  );
}

/** How it ended: `stopped: precision`, or that the number was given. */
export function stoppedText(result: Result): string {
  return result.trust.stopped === 'fixed' ? 'as many as asked' : `stopped: ${result.trust.stopped}`;
}

function facts(result: Result): string[] {
  const w = result.workload;
  const regime = result.metrics[0]?.regime;
  const cells = [...new Set(result.fleet.map((f) => f.cellLevel))].join(', ');
  const first = [`pauses ${w.pauses}`, `sharing ${w.sharing}`, `gap cap ${w.gapCap}`, ...overlong(w), ...regimeText(regime, cells)];
  const health = [...new Set(result.health.map((h) => h.code))];
  const warnings = health.length === 0 ? 'warnings none' : `warnings ${health.length}: ${health.join(' ')}`;
  const inert =
    result.inert.length === 0
      ? ['inert none']
      : result.inert.map((i, at) => `${at === 0 ? `inert ${result.inert.length}: ` : ''}${i.path} (${i.reason})`);
  const incomplete = result.incomplete.length === 0 ? [] : [`incomplete ${result.incomplete.length}`];
  const second = [
    `invariants ${result.trust.invariants.violations} violations`,
    ...inert,
    warnings,
    ...incomplete,
    `result ${result.scenario.hash.slice(0, 8)}`,
  ];
  return [...wrapItems(first, COLUMNS, 2), ...wrapItems(second, COLUMNS, 2)].flatMap((line) =>
    width(line) > COLUMNS ? wrap(line, COLUMNS, 2) : [line],
  );
}

/** Sessions of the trace that do not fit into the context limit. */
function overlong(w: Result['workload']): string[] {
  const parts: string[] = [];
  if (w.sessionsTruncated > 0) parts.push(`${w.sessionsTruncated} cut short`);
  if (w.sessionsExcluded > 0) parts.push(`${w.sessionsExcluded} left out`);
  return parts.length === 0 ? [] : [`trace sessions above the context limit: ${parts.join(', ')}`];
}

function regimeText(regime: Result['metrics'][number]['regime'] | undefined, cells: string): string[] {
  if (regime === undefined) return [];
  const parts: string[] = [];
  if (regime.fitOnly > 0) parts.push(`fit-only ${fixed(regime.fitOnly * 100, 0)} %`);
  if (regime.calibrated > 0) parts.push(`calibrated ${fixed(regime.calibrated * 100, 0)} %`);
  if (regime.extrapolated > 0) parts.push(`extrapolated ${fixed(regime.extrapolated * 100, 0)} %`);
  return parts.length === 0 ? [] : [`step times ${parts.join(', ')} (cell ${cells})`];
}

/** The command that repeats the result; free of paths outside the project. */
export function reproduce(result: Result): string {
  return result.reproduce;
}
