/** The text of `run`: one sentence, metrics with intervals, where prompt tokens came from, terminal states, trust lines. */
import type { MetricRow, Result } from '../../sim/experiment/result.ts';
import { causeLines } from './causes.ts';
import { partialBanner } from './comparison.ts';
import { labelOf, labelWithUnit } from './labels.ts';
import { decimalsFor, fixed, thousands } from './numbers.ts';
import type { Paint } from './paint.ts';
import { alignDecimals, type Cell, table, wrap } from './table.ts';
import { notAvailable, tailOf } from './tail.ts';
import { stoppedText, trustLines } from './trust.ts';

/** Lines of a run: every arm with its metrics; differences are the business of `compare`. */
export function runText(result: Result, paint: Paint): string {
  const out: string[] = [];
  if (result.truncated) out.push(...partialBanner(result));
  for (const arm of result.arms) out.push(...armBlock(result, arm.name, paint), '');
  out.push(`Terminal states: ${terminalStates(result)}`, '');
  out.push(...trustLines(result, paint));
  return `${out.join('\n')}\n`;
}

/** `480 offered = 472 completed + 8 censored` over all arms and replications. */
export function terminalStates(result: Result): string {
  const w = result.workload;
  const parts = [
    [w.sessionsCompleted, 'completed'],
    [w.sessionsFailed, 'failed'],
    [w.sessionsAbandoned, 'abandoned'],
    [w.sessionsCensored, 'censored'],
  ] as const;
  const shown = parts.filter(([n]) => n > 0).map(([n, name]) => `${thousands(n)} ${name}`);
  return `${thousands(w.sessionsOffered)} sessions offered = ${shown.join(' + ') || '0'}`;
}

function armBlock(result: Result, arm: string, paint: Paint): string[] {
  const rows = result.metrics.filter((m) => m.arm === arm);
  const primary = rows.find((r) => r.expr === result.scenario.primary) ?? rows[0];
  if (primary === undefined) return [`${arm}: no metrics`];
  const label = labelOf(primary.expr, primary.unit);
  const head = primary.mean === null ? 'n/a' : `${headline(primary, label.factor)} ${label.unit}`.trim();
  const n = result.trust.replications;
  const many = `${n} replication${n === 1 ? '' : 's'}`;
  const answer = `${arm}: ${label.label} ${head}, ${many}${n > 1 ? ` (${stoppedText(result)})` : ''}.`;
  const texts = rows.map((r) => valueTexts(r));
  const means = alignDecimals(texts.map((t) => t[0]));
  const lines = rows.map((r, i): (Cell | string)[] => [`  ${labelWithUnit(labelOf(r.expr, r.unit, scaleOf(r)))}`, means[i]!, texts[i]![1]]);
  const header: (Cell | string)[] = [
    { text: '', tone: 'dim' },
    { text: 'mean', tone: 'dim' },
    { text: n > 1 ? '95 %' : '', tone: 'dim' },
  ];
  return [
    ...wrap(answer, 100).map((line) => paint(line, 'strong')),
    ...table([{ align: 'left' }, { align: 'left' }, { align: 'left' }], [header, ...lines], paint),
    ...causeLine(result, arm),
    ...sloLine(result, arm),
  ];
}

function headline(row: MetricRow, factor: number): string {
  const half = row.lo === null || row.hi === null ? null : ((row.hi - row.lo) / 2) * factor;
  const d = decimalsFor(half, row.mean! * factor);
  return half === null ? fixed(row.mean! * factor, d) : `${fixed(row.mean! * factor, d)} ±${fixed(half, d)}`;
}

function valueTexts(row: MetricRow): [string, string] {
  if (row.mean === null || tailOf(row) === 'none') return [notAvailable(row), ''];
  const { factor } = labelOf(row.expr, row.unit, scaleOf(row));
  const half = row.lo === null || row.hi === null ? null : ((row.hi - row.lo) / 2) * factor;
  const d = decimalsFor(half, row.mean * factor);
  const thin = tailOf(row) === 'thin' ? '†' : '';
  return [`${fixed(row.mean * factor, d)}${thin}`, half === null ? '' : `[${fixed(row.lo! * factor, d)}, ${fixed(row.hi! * factor, d)}]`];
}

function scaleOf(row: MetricRow): string | undefined {
  return row.unit === '1' && /^(kv\.hit|goodput\.turns|engine\.utilization|kv\.occupancy)/.test(row.expr) ? 'proportion' : undefined;
}

function causeLine(result: Result, arm: string): string[] {
  const row = result.causes.find((c) => c.arm === arm);
  return row === undefined ? [] : causeLines(row);
}

function sloLine(result: Result, arm: string): string[] {
  return result.slo
    .filter((s) => s.arm === arm)
    .map((s) =>
      s.scope === 'run'
        ? `  SLO ${s.name}: ${s.expr} ${s.verdict}`
        : `  SLO ${s.name}: ${s.expr}, met by ${s.met === null ? 'n/a' : `${fixed(s.met * 100, 1)} %`} of ${s.scope}s`,
    );
}
