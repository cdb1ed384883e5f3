/** `kvcast conformance [SUITE] [DIR]`: are the decisions those of the real programs? */
import { statSync } from 'node:fs';
import {
  type ConformanceQuestion,
  type ConformanceReport,
  conform,
  familyLine,
  SUITES,
  totalLine,
} from '../bench/conformance/conformance.ts';
import { wrap } from '../reports/text/table.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { raiseExit } from './exit-code.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/** Exit code if any case differs without a rule that explains it. */
const DIFFERENT = 3;

/** Prints one line per family, then the rules that were needed. Exit 3 on any unexplained difference. */
export async function conformance(first: string | undefined, second: string | undefined, options: OutputOptions): Promise<void> {
  const terminal = terminalOf(options);
  const isJson = options.json === true;
  const report = await conform(question(first, second), findPackageRoot(), (family) => {
    if (!isJson) terminal.result(`${familyLine(family)}\n`);
  });
  if (isJson) terminal.result(`${JSON.stringify(report, null, 2)}\n`);
  else for (const line of [totalLine(report), ...ruleLines(report)]) terminal.result(`${line}\n`);
  if (report.families.some((f) => f.different > 0)) raiseExit(DIFFERENT);
}

/** `[SUITE] [DIR]`, where a lone folder stands for all suites found in it. */
function question(first: string | undefined, second: string | undefined): ConformanceQuestion {
  const isFolder = first !== undefined && second === undefined && SUITES[first] === undefined && isDirectory(first);
  return isFolder ? { folder: first } : { suite: first, folder: second };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function ruleLines(report: ConformanceReport): string[] {
  const used = new Map<string, number>();
  for (const { explained } of report.families)
    for (const [rule, count] of Object.entries(explained)) used.set(rule, (used.get(rule) ?? 0) + count);
  return report.suites.flatMap(({ rules }) =>
    Object.entries(rules)
      .filter(([rule]) => used.has(rule))
      .flatMap(([rule, text]) => wrap(`${rule} (${used.get(rule)}): ${text}`, 100, 2)),
  );
}
