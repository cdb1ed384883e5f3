/** Words of `kvcast`, `kvcast --help` and the help of one command. */
import type { Command, Help, Option } from 'commander';
import { VERSION } from '../version.ts';
import { examplesOf } from './examples.ts';

/** Printed without a command. */
export const SHORT_HELP = `kvcast ${VERSION}: what happens if you route or retain KV cache differently?
  kvcast demo                    two routers x two retention policies on a bundled trace, < 15 s
  kvcast run SCENARIO            metrics with intervals
  kvcast compare SCENARIO        paired differences with intervals and verdicts
  kvcast sweep SCENARIO --sweep ttl=1m,5m,1h
  kvcast plan SCENARIO           smallest fleet that meets the SLOs
  kvcast bound SCENARIO          how much better an oracle would be
  kvcast gate SCENARIO           fail a pull request that makes it worse
  kvcast explain RESULT          where the time went, and why two arms differ
  kvcast trace inspect FILE      what a trace holds, and what it cannot tell
All commands: kvcast --help     One command: kvcast help compare     A code: kvcast help E_RANGE
`;

/** Printed by --help. */
export const LONG_HELP = `Usage: kvcast <command> [options]
Ask     run · compare · sweep · plan · bound     simulate a scenario (plan: the inverse question)
Why     explain                                  where the time of turns went, why two arms differ
Decide  gate · check                             for CI: regressions, schema and meaning
Look    trace inspect · convert · synthesize     what agents did
Know    presets · schema · doctor                what can be named, what is installed
Trust   conformance                              decisions recorded from vLLM, Dynamo, AISimulate
Start   demo · init · help [COMMAND|CODE]
  -o, --out DIR            result directory (default kvcast-out/<scenario name>)
      --set PATH=VALUE     override a leaf, repeatable; lists by name: fleet.pools.main.workers=8
      --seed N  --reps N   root seed, replications          --jobs N   threads (default cores - 1)
      --reporter R[:FILE]  text json, gate also md junit github, repeatable
      --json               same as --reporter json
      --strict             findings and inert fields become exit 3     --force  --time-limit D
  -q, --quiet  -v, --verbose  --color auto|always|never  --ascii  -h, --help  -V, --version
Exit    0 success                        5 incomplete                  11 regression
        1 internal error or invariant    6 model stuck                 12 inconclusive (on request)
        2 usage or invalid input        10 SLO or threshold breached   13 refused: inputs changed
        3 findings under --strict      130 interrupted (143 by TERM)
        4 changes (--detailed-exitcode) 14 no feasible configuration (plan)
`;

/** What it does, how it is called, examples to copy, options: within 100 columns. */
export function helpText(command: Command, help: Help): string {
  const name = help
    .commandUsage(command)
    .replace(/^kvcast /, '')
    .replace(/ \[options\].*$/, '');
  const rows = [
    ...help.visibleCommands(command).map((c) => [help.subcommandTerm(c), c.description()] as const),
    ...help.visibleOptions(command).map((o) => [help.optionTerm(o), optionText(o)] as const),
  ];
  const wide = Math.max(...rows.map(([term]) => term.length));
  return [
    command.description(),
    `Usage: ${help.commandUsage(command)}`,
    ...examplesOf(name).map((example) => `  ${example}`),
    'Options:',
    ...rows.map(([term, text]) => `  ${term.padEnd(wide)}  ${text}`),
    'Global options and exit codes: kvcast --help',
    '',
  ].join('\n');
}

function optionText(option: Option): string {
  const choices = option.argChoices === undefined ? '' : `: ${option.argChoices.join(', ')}`;
  const fallback = typeof option.defaultValue === 'string' ? ` (default ${option.defaultValue})` : '';
  return `${option.description}${choices}${fallback}`;
}
