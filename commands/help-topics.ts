/** Texts of `kvcast help` that belong to no single command. */
import type { Command } from 'commander';
import { METRICS } from '../sim/measure/registry.ts';

const VERDICTS = `verdicts  How a paired difference is judged. The interval is that of the difference over common random numbers.
  within noise   the interval lies inside the noise band (1 % for ratios, 0.5 pp for shares, 0 for counts)
  improved       the interval lies on the better side of 0 and its centre outside the band
  regressed      the same on the worse side
  inconclusive   none of these; the text says how many more replications could tell
With k arms against one baseline each is judged at level 1 - 0.05 / (k - 1) (Bonferroni); the shown interval is 95 %.
`;

const EXITS = `exit-codes
   0  success                                    6  model stuck: nothing can progress
   1  internal error or violated invariant      10  an SLO of level error failed (--enforce-slo)
   2  usage, or invalid scenario or trace      130  interrupted; complete replications were kept
   3  findings under --strict                  143  the same by SIGTERM
   4  verdicts improved or regressed (--detailed-exitcode)
   5  incomplete: some runs hit a limit
`;

/** Topic -> text. */
export const HELP_TOPICS: Readonly<Record<string, string>> = {
  verdicts: VERDICTS,
  'exit-codes': EXITS,
  get metrics() {
    return `${METRICS.map((m) => `${m.name.padEnd(26)} ${m.unit.padEnd(6)} ${m.definition}`).join('\n')}\n`;
  },
};

const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  demo: ['kvcast demo', 'kvcast demo --json | jq .comparisons'],
  run: ['kvcast run quickstart --arm dynamo-kv+lru --reps 3', 'kvcast run agents-8 --set fleet.pools.main.workers=4'],
  compare: [
    'kvcast compare quickstart --reps 20 --out /tmp/cmp',
    'kvcast compare quickstart --json | jq \'.comparisons[] | select(.verdict == "regressed")\'',
  ],
  sweep: ['kvcast sweep quickstart --sweep kvcast-soft.ttl=1m,5m,15m --reps 5', 'kvcast sweep agents-8 --sweep workers=4..12:4'],
  check: ['kvcast check quickstart agents-8'],
  schema: ['kvcast schema --resolved quickstart', 'kvcast schema --field fleet.pools.workers'],
  presets: ['kvcast presets retention', 'kvcast presets gpu/h100-sxm'],
  trace: [
    'kvcast trace inspect traces/samples/weka_dev.jsonl.gz',
    'kvcast trace convert traces/samples/weka_dev.jsonl.gz --to agentic-mooncake -o agents.jsonl',
  ],
};

/** Help of a command with examples first; undefined for an unknown one. */
export function commandHelp(name: string, program: Command): string | undefined {
  const command = program.commands.find((c) => c.name() === name);
  if (command === undefined) return undefined;
  const examples = (EXAMPLES[name] ?? []).map((e) => `  ${e}`).join('\n');
  return `${command.helpInformation()}${examples === '' ? '' : `\nExamples:\n${examples}\n`}`;
}
