/** Texts of `kvcast help` that belong to no single command. */
import type { Command } from 'commander';
import { wrap } from '../reports/text/table.ts';
import { METRICS } from '../sim/measure/registry.ts';

/** Stands for a blank at which no line may be broken. */
const NARROW = '\u00a0';

const VERDICTS = `verdicts  How a paired difference is judged: by the interval of the differences between
  runs with the same random numbers.
  within noise   the interval lies inside the noise band (1 % for ratios, 0.5 pp for shares, 0 for counts)
  improved       the interval lies on the better side of 0 and its centre outside the band
  regressed      the same on the worse side
  inconclusive   none of these; the text says how many more replications could tell
With k arms each of the k - 1 differences is judged at level 1 - 0.05 / (k - 1) (Bonferroni).
The interval that is shown is the 95 % one.
`;

const EXITS = `exit-codes
   0  success
   1  internal error or violated invariant
   2  usage, or invalid scenario, trace or baseline
   3  findings under --strict
   4  verdicts improved or regressed (--detailed-exitcode)
   5  incomplete: some runs hit a limit
   6  model stuck: nothing can progress
  10  a threshold of a gate, or an SLO of level error (--enforce-slo), failed
  11  gate: a metric of level error regressed
  12  gate: something cannot be judged, and --require-conclusive was given
  13  gate: inputs differ from the baseline, nothing was judged
 130  interrupted; complete replications were kept (143 the same by SIGTERM)
Of several codes the first of 1 2 6 130 5 13 10 11 12 3 4 is returned; gate.json lists all reasons.
`;

/** Topic -> text. */
export const HELP_TOPICS: Readonly<Record<string, string>> = {
  verdicts: VERDICTS,
  'exit-codes': EXITS,
  get metrics() {
    const lines = METRICS.flatMap((m) =>
      wrap(`${m.name.padEnd(26, NARROW)}${NARROW}${m.unit.padEnd(6, NARROW)}${NARROW}${m.definition}`, 100, 34),
    );
    return `${lines.join('\n').replaceAll(NARROW, ' ')}\n`;
  },
};

/** Help of a command; undefined for an unknown one. */
export function commandHelp(name: string, program: Command): string | undefined {
  return program.commands.find((c) => c.name() === name)?.helpInformation();
}
