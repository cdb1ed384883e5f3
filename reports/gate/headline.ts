/** The first line of every report of a gate: one sentence built from its rows. */
import type { CheckRow, GateResult, GateVerdictRow } from '../../sim/experiment/gate/gate-result.ts';
import { checkValue, differenceText, noiseText } from './numbers.ts';

/** What an answer looks like: the sign before it. */
export type HeadlineMark = '✓' | '✗' | '?';

/** The sentence and its sign. */
export function headline(gate: GateResult): { readonly mark: HeadlineMark; readonly text: string } {
  const metrics = `${gate.verdicts.length} metric${gate.verdicts.length === 1 ? '' : 's'}`;
  switch (gate.verdict) {
    case 'refused':
      return {
        mark: '✗',
        text: `refused: ${refusedInputs(gate)} differ${gate.inputs.rows.filter((r) => !r.equal).length === 1 ? 's' : ''} from the baseline; a difference would not be the policy's.`,
      };
    case 'updated':
      return { mark: '✓', text: `baseline written: ${counted(gate.replications, 'replication')} (${gate.baseline?.source ?? ''}).` };
    case 'partial':
      return { mark: '?', text: `interrupted: first ${counted(gate.replications, 'paired replication')}; no verdict.` };
    case 'regressed':
    case 'breached':
      return { mark: '✗', text: `${failures(gate, metrics).join('; ')}.` };
    case 'inconclusive':
      return { mark: '?', text: `inconclusive: ${openText(gate)} with ${counted(gate.replications, 'replication')}; none regressed.` };
    case 'pass': {
      const bounds = gate.checks.length === 0 ? '' : `, ${holding(gate)} of ${counted(gate.checks.length, 'threshold')} hold`;
      return {
        mark: '✓',
        text: `pass: no regression in ${metrics}${asides(gate)}${bounds} (${counted(gate.replications, 'paired replication')}).`,
      };
    }
  }
}

/** Rows whose regression counts. */
export function regressions(gate: GateResult): GateVerdictRow[] {
  return gate.verdicts.filter((row) => row.verdict === 'regressed' && row.severity === 'error');
}

/** Thresholds of level error that fail. */
export function breaches(gate: GateResult): CheckRow[] {
  return gate.checks.filter((row) => row.verdict === 'fail' && row.level === 'error');
}

/**
 * The regression to name first: of what people wait for (turns, sessions) the largest, else the one that exceeds its noise band by most.
 */
export function worst(rows: readonly GateVerdictRow[]): GateVerdictRow | undefined {
  const isFelt = (row: GateVerdictRow): boolean => /^(turn|session)\./.test(row.expr);
  const felt = rows.filter(isFelt);
  const size = felt.length > 0 ? (row: GateVerdictRow) => Math.abs(row.delta!) : excess;
  return (felt.length > 0 ? felt : [...rows]).reduce<GateVerdictRow | undefined>(
    (a, b) => (a === undefined || size(b) > size(a) ? b : a),
    undefined,
  );
}

/** How many noise bands a difference is wide; worst first for lists that are cut. */
export function excess(row: GateVerdictRow): number {
  return Math.abs(row.delta ?? 0) / Math.max(row.noise, 1e-9);
}

/** `1 run`, `10 runs`. */
export function counted(n: number, thing: string): string {
  return `${n} ${thing}${n === 1 ? '' : 's'}`;
}

function failures(gate: GateResult, metrics: string): string[] {
  const bad = regressions(gate);
  const first = worst(bad);
  const parts =
    first === undefined
      ? []
      : [`regression in ${bad.length} of ${metrics}; worst ${first.expr} ${differenceText(first)} (noise ${noiseText(first)})`];
  const failed = breaches(gate);
  if (failed.length === 1) {
    const { value, interval, unit } = checkValue(failed[0]!);
    parts.push(`threshold ${failed[0]!.expr} fails with ${`${value} ${interval} ${unit}`.replace(/\s+/g, ' ').trim()}`);
  } else if (failed.length > 1) parts.push(`${failed.length} of ${gate.checks.length} thresholds fail`);
  const slo = gate.exit.reasons.find((reason) => reason.startsWith('SLOs failed'));
  if (slo !== undefined) parts.push(slo);
  if (first === undefined && parts.length > 0) parts.push(`no regression in ${metrics}`);
  return parts;
}

function holding(gate: GateResult): number {
  return gate.checks.filter((row) => row.verdict === 'pass').length;
}

/** What a pass does not hide: improvements, rows that could not be judged, warnings. */
function asides(gate: GateResult): string {
  const count = (verdict: string): number => gate.verdicts.filter((row) => row.verdict === verdict).length;
  const parts = [
    [count('improved'), 'improved'],
    [count('inconclusive'), 'inconclusive'],
    [count('regressed'), 'worse at level warn'],
  ] as const;
  const said = parts.filter(([n]) => n > 0).map(([n, word]) => `${n} ${word}`);
  return said.length === 0 ? '' : ` (${said.join(', ')})`;
}

function openText(gate: GateResult): string {
  const metrics = gate.verdicts.filter((row) => row.verdict === 'inconclusive' && row.severity === 'error').length;
  const bounds = gate.checks.filter((row) => row.verdict === 'open' && row.level === 'error').length;
  const parts = [
    ...(metrics > 0 ? [`${metrics} of ${gate.verdicts.length} metrics`] : []),
    ...(bounds > 0 ? [`${bounds} of ${gate.checks.length} thresholds`] : []),
  ];
  return `${parts.join(' and ')} cannot be judged`;
}

function refusedInputs(gate: GateResult): string {
  return gate.inputs.rows
    .filter((row) => !row.equal)
    .map((row) => row.input)
    .join(', ');
}
