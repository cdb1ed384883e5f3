/** `kvcast conformance [SUITE] [DIR]`: are the decisions those of the real programs? */
import { conform, familyLine } from '../bench/conformance/conformance.ts';
import { wrap } from '../reports/text/table.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { raiseExit } from './exit-code.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/** Exit code if any case differs without a rule that explains it. */
const DIFFERENT = 3;

/** Prints one line per family, then the rules that were needed. Exit 3 on any unexplained difference. */
export async function conformance(suite: string | undefined, folder: string | undefined, options: OutputOptions): Promise<void> {
  const terminal = terminalOf(options);
  const isJson = options.json === true;
  const report = await conform({ suite, folder }, findPackageRoot(), (family) => {
    if (!isJson) terminal.result(`${familyLine(family)}\n`);
  });
  if (isJson) terminal.result(`${JSON.stringify(report, null, 2)}\n`);
  else for (const line of ruleLines(report)) terminal.result(`${line}\n`);
  if (report.families.some((f) => f.different > 0)) raiseExit(DIFFERENT);
}

function ruleLines(report: Awaited<ReturnType<typeof conform>>): string[] {
  const used = new Set(report.families.flatMap((f) => Object.keys(f.explained)));
  return report.suites.flatMap(({ rules }) =>
    Object.entries(rules)
      .filter(([rule]) => used.has(rule))
      .flatMap(([rule, text]) => wrap(`${rule}: ${text}`, 100, 2)),
  );
}
