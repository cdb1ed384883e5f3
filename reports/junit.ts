/** JUnit XML of a gate: one case per metric, threshold and, when refused, compared input. Source: experiments specification 5.5. */
import type { GateResult } from '../sim/experiment/gate/gate-result.ts';
import { xmlText } from './escape.ts';
import { changeText, checkValue, differenceText, noiseText } from './gate/numbers.ts';

/** What a case ended with; `said` is output of a case that passed. */
interface Case {
  readonly name: string;
  readonly end: 'passed' | 'failed' | 'skipped';
  readonly type?: 'regressed' | 'threshold' | 'refused';
  readonly text: string;
}

/** The document. `timestamp` (ISO 8601) only where it was asked for: without it equal gates give equal bytes. */
export function gateJunit(gate: GateResult, timestamp?: string): string {
  const cases = gate.verdict === 'refused' ? inputCases(gate) : [...metricCases(gate), ...thresholdCases(gate)];
  const count = (end: Case['end']): number => cases.filter((c) => c.end === end).length;
  const totals = `tests="${cases.length}" failures="${count('failed')}" errors="0" skipped="${count('skipped')}"`;
  const name = xmlText(gate.scenario.name);
  const when = timestamp === undefined ? '' : ` timestamp="${xmlText(timestamp)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="kvcast gate" ${totals}>`,
    `  <testsuite name="${name}" ${totals}${when}>`,
    ...cases.flatMap((c) => caseLines(c, name)),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function caseLines({ name, end, type, text }: Case, suite: string): string[] {
  const open = `    <testcase classname="kvcast.gate.${suite}" name="${xmlText(name)}"`;
  if (end === 'passed')
    return text === '' ? [`${open}/>`] : [`${open}>`, `      <system-out>${xmlText(text)}</system-out>`, '    </testcase>'];
  const body =
    end === 'skipped'
      ? `      <skipped message="${xmlText(text)}"/>`
      : `      <failure type="${type ?? 'regressed'}" message="${xmlText(text)}">${xmlText(text)}</failure>`;
  return [`${open}>`, body, '    </testcase>'];
}

function metricCases(gate: GateResult): Case[] {
  return gate.verdicts.map((row): Case => {
    const text = `${row.verdict ?? 'not judged'}: ${differenceText(row)} (noise ${noiseText(row)})`;
    if (row.verdict === 'inconclusive') return { name: row.expr, end: 'skipped', text };
    if (row.verdict === 'regressed' && row.severity === 'error') return { name: row.expr, end: 'failed', type: 'regressed', text };
    return { name: row.expr, end: 'passed', text: row.verdict === 'regressed' ? `level warn: ${text}` : '' };
  });
}

function thresholdCases(gate: GateResult): Case[] {
  return gate.checks.map((row): Case => {
    const { value, interval, unit } = checkValue(row);
    const text = `${row.verdict}: ${[value, interval, unit].filter((part) => part !== '').join(' ')}`;
    if (row.verdict === 'open') return { name: row.expr, end: 'skipped', text };
    if (row.verdict === 'fail' && row.level === 'error') return { name: row.expr, end: 'failed', type: 'threshold', text };
    return { name: row.expr, end: 'passed', text: row.verdict === 'fail' ? `level warn: ${text}` : '' };
  });
}

function inputCases(gate: GateResult): Case[] {
  return gate.inputs.rows.map((row): Case => {
    if (row.equal) return { name: row.input, end: 'passed', text: '' };
    const leaves = row.leaves.map((leaf) => `${leaf.path} ${changeText(leaf)}${leaf.origin === null ? '' : ` (${leaf.origin})`}`);
    const text = leaves.length > 0 ? leaves.join('; ') : (row.note ?? `${row.baseline} -> ${row.candidate}`);
    return { name: row.input, end: 'failed', type: 'refused', text };
  });
}
