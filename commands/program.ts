/** Wiring of commands. Each command is one function that lives with its subject and is loaded when asked for. */
import { Command, CommanderError, Option } from 'commander';
import { VERSION } from '../version.ts';
import { helpText, LONG_HELP, SHORT_HELP } from './help-text.ts';
import { TEMPLATE_NAMES } from './init-templates.ts';

/** Builds the command line; exported for its tests. */
export function createProgram(): Command {
  const program = new Command('kvcast')
    .version(VERSION, '-V, --version')
    .exitOverride()
    .showSuggestionAfterError(false)
    .enablePositionalOptions()
    .configureOutput({ getOutHelpWidth: () => 100, getErrHelpWidth: () => 100 })
    .configureHelp({ formatHelp: (command, help) => helpText(command, help) });
  program.helpInformation = () => LONG_HELP;
  program.addHelpCommand(false);
  program.allowExcessArguments(true).action(() => {
    if (program.args.length > 0) throw new CommanderError(2, 'commander.unknownCommand', `error: unknown command '${program.args[0]}'`);
    process.stdout.write(SHORT_HELP);
  });

  simulation(
    program.command('demo').description('Two routers x two retention policies on the bundled agent trace.').usage('[options]'),
  ).action(async (options) => {
    await (await import('./simulation.ts')).demo(options);
  });
  simulation(program.command('run <scenario...>').description('Simulate a scenario: every arm with its metrics and intervals.'))
    .option('--arm <NAME>', 'only this arm')
    .option('--enforce-slo', 'exit 10 if a run-scope SLO of level error fails')
    .action(async (scenarios, options) => {
      await (await import('./simulation.ts')).run(scenarios, options);
    });
  simulation(
    program.command('compare <scenario>').description('Compare arms on the same workload: paired differences, intervals, verdicts.'),
  )
    .option('--baseline <ARM>', 'reference (default: scenario, else first arm)')
    .option('--detailed-exitcode', '4 if any verdict is improved or regressed')
    .option('--enforce-slo', '10 if a run-scope SLO of level error fails')
    .action(async (scenario, options) => {
      await (await import('./simulation.ts')).compare(scenario, options);
    });
  simulation(program.command('sweep <scenario>').description('One row per value of an axis: what a parameter does.'))
    .option('--sweep <AXIS>', 'ttl=5m,15m,1h  workers=4..16:4  workers=1..64*2; repeatable', collect)
    .option('--baseline <ARM>', 'reference inside each point')
    .action(async (scenario, options) => {
      await (await import('./sweep.ts')).sweep(scenario, options);
    });
  decidingCommands(program);
  simulation(program.command('bound <scenario>').description('Regret of every arm against oracles that know the order it was served in.'))
    .option('--oracle <LIST>', 'infinite,belady,ttl,router (default: all)')
    .option('--arm <NAME>', 'only this arm (default: all, the best by the primary metric in detail)')
    .action(async (scenario, options) => {
      await (await import('./bound.ts')).bound(scenario, options);
    });
  output(
    program
      .command('explain <result>')
      .description('Why turns took their time, or why two arms differ: repeats the runs of a result under observation.'),
  )
    .option('--vs <RESULT|ARM>', 'the other side (default: the baseline of the result)')
    .option('--arm <NAME>', 'arm that is explained (default: best by the primary metric)')
    .option('--vs-arm <NAME>', 'arm of the other side (default: same name, else its baseline)')
    .option('--metric <EXPR>', 'mean or quantile of turn.ttft or turn.e2e', 'turn.ttft.mean')
    .option('--session <ID>', 'list the turns of a session, such as s12')
    .option('--swap', 'give each part that differs its share: runs all their mixtures')
    .option('--jobs <N>', 'threads of --swap', integer('--jobs'))
    .option('--only-rep <N>', 'one replication', integer('--only-rep'))
    .option('--reporter <name[:file]>', 'text, json or perfetto (timeline of the first replication), repeatable', collect)
    .action(async (result, options) => {
      await (await import('./explain.ts')).explain(result, options);
    });
  output(program.command('check <scenario...>').description('Schema and meaning of scenarios; nothing is simulated.')).action(
    async (files, options) => {
      await (await import('./knowledge.ts')).check(files, options);
    },
  );
  output(program.command('schema [kind]').description('JSON Schema of scenarios, or a scenario with the origin of every value.'))
    .option('--resolved <FILE>', 'resolved scenario with origins')
    .option('--field <PATH>', 'one field: type, range, default, meaning')
    .action(async (kind, options) => {
      await (await import('./knowledge.ts')).schema(kind, options);
    });
  output(program.command('presets [kind]').description('Names that scenarios can use.')).action(async (kind, options) => {
    await (await import('./knowledge.ts')).presets(kind, options);
  });
  output(program.command('doctor').description('What is installed and whether this machine repeats results.')).action(async (options) => {
    await (await import('./knowledge.ts')).doctor(options);
  });
  output(
    program
      .command('conformance [suite] [dir]')
      .description('Replay decisions recorded from vLLM, Dynamo and AISimulate: equal N of M per family; exit 3 on a difference.'),
  ).action(async (suite, folder, options) => {
    await (await import('./conformance.ts')).conformance(suite, folder, options);
  });
  program.command('help [topic]').action(async (topic) => {
    if (topic === undefined) process.stdout.write(LONG_HELP);
    else await (await import('./knowledge.ts')).help(topic, program);
  });
  traceCommands(program);
  return program;
}

/** Commands whose answer is a decision: how many, may this be merged, where to start. */
function decidingCommands(program: Command): void {
  simulation(
    program.command('plan <scenario>').description('The smallest fleet that meets the SLOs, with headroom and a failure to spare.'),
  )
    .option('--max-load', 'the inverse: the largest load that the fleet as written carries')
    .option('--contexts <LIST>', 'add a table of cost against context length, e.g. 64k,256k,1M')
    .option('--exhaustive', 'search every configuration, also those that cannot be cheaper')
    .option('--resume', 'keep what an interrupted plan in --out has tried')
    .action(async (scenario, options) => {
      await (await import('./plan.ts')).plan(scenario, options);
    });
  simulation(program.command('gate <scenario>').description('Fail a pull request that makes it worse: a policy against its baseline.'))
    .option('--baseline <FILE>', 'baseline file (default: gate.baseline of the scenario)')
    .option('--update', 'simulate and write the baseline file')
    .option('--against <SCENARIO>', 'another scenario, or git:REF for this one as it was there; no baseline file')
    .option('--allow-input-change', 'old policy on the new inputs: the verdict is on the policy alone')
    .option('--require-conclusive', 'exit 12 if a metric cannot be judged')
    .option('--enforce-slo', 'exit 10 if a run-scope SLO of level error fails')
    .option('--arm <NAME>', 'the arm that is judged, where there are several')
    .option('--timestamps', 'time of the gate in JUnit')
    .action(async (scenario, options) => {
      await (await import('./gate.ts')).gate(scenario, options);
    });
  output(program.command('init [dir]').description('Write a scenario and a CI workflow to start from.'))
    .addOption(new Option('--template <NAME>', 'what to start with').choices([...TEMPLATE_NAMES]).default('quickstart'))
    .option('--force', 'overwrite files that are there')
    .action(async (folder, options) => {
      (await import('./init.ts')).init(folder, options);
    });
}

function traceCommands(program: Command): void {
  const trace = program.command('trace').description('What agents did: inspect, convert and synthesize traces.').addHelpCommand(false);
  reading(trace.command('inspect <file>').description('Statistics, reuse, TTL curve, hygiene findings. FILE: file, directory or -'))
    .option('--context-limit <TOKENS>', 'count requests above this many tokens', integer('--context-limit'))
    .action(async (file, options) => {
      await (await import('./trace.ts')).inspect(file, options);
    });
  reading(trace.command('convert <file>').description('Convert a trace, with a report of what was lost.'))
    .requiredOption('--to <FORMAT>', 'kvcast or agentic-mooncake')
    .requiredOption('-o, --output <OUT>', 'file to write (.gz is compressed), - for stdout')
    .addOption(new Option('--pauses <MODE>', 'pauses to write').choices(['debiased', 'recorded']).default('debiased'))
    .action(async (file, options) => {
      await (await import('./trace.ts')).convert(file, options);
    });
  output(trace.command('synthesize').description('Draw sessions of coding agents from fitted distributions and write them as a trace.'))
    .requiredOption('-n, --sessions <N>', 'sessions to draw', integer('--sessions'))
    .requiredOption('-o, --output <OUT>', 'file to write (.gz is compressed), - for stdout')
    .option('--preset <NAME>', 'generator', 'coding-agent-weka@1')
    .option('--seed <N>', 'root seed', integer('--seed'), 1)
    .addOption(new Option('--pauses <FIT>', 'fit from which pauses are drawn').choices(['debiased', 'recorded']).default('debiased'))
    .option('--fresh-only', 'no sessions that resume an older one')
    .option('--breaks <FACTOR>', 'factor on broken prefixes', Number, 1)
    .option('--sub-agents <SHARE>', 'share of sessions with nested agents (uncalibrated)', '0')
    .action(async (options) => {
      (await import('./synthesize.ts')).synthesize(options);
    });
}

/** Options of every command. */
function output(command: Command): Command {
  return command
    .option('--json', 'one JSON document')
    .option('-q, --quiet', 'no progress, no notes')
    .option('-v, --verbose', 'more on stderr')
    .addOption(new Option('--color <WHEN>', 'colour').choices(['auto', 'always', 'never']).default('auto'))
    .option('--ascii', 'no signs beyond ASCII')
    .option('--strict', 'findings become exit 3');
}

/** Options of commands that read a trace. */
function reading(command: Command): Command {
  return output(command)
    .option('--format <NAME>', 'format of the input; default: by its content')
    .option('--trace-block-tokens <N>', 'tokens per block where the format does not say (Mooncake: 512)', integer('--trace-block-tokens'))
    .option('--skip-bad <N>', 'tolerate up to N bad sessions', integer('--skip-bad'))
    .addOption(new Option('--not-before <MODE>', 'agentic Mooncake: start times of dependent rows').choices(['ignore', 'respect']));
}

/** Options of commands that simulate. */
function simulation(command: Command): Command {
  return output(command)
    .option('-o, --out <DIR>', 'result directory')
    .option('--set <PATH=VALUE>', 'override a leaf, repeatable', collect)
    .option('--seed <N>', 'root seed', integer('--seed'))
    .option('--reps <N>', 'replications', integer('--reps'))
    .option('--jobs <N>', 'threads', integer('--jobs'))
    .addOption(new Option('--executor <NAME>', 'where jobs run').choices(['local', 'threads']))
    .option('--reporter <name[:file]>', 'text or json; gate also md, junit, github; repeatable', collect)
    .option('--metric <EXPR>', 'add a metric, repeatable', collect)
    .option('--only-rep <N>', 'one replication', integer('--only-rep'))
    .option('--verify', 'run everything twice and compare hashes')
    .option('--time-limit <D>', 'stop adding replications after this wall time')
    .option('--force', 'write into a directory of other origin');
}

function collect(value: string, list: string[] = []): string[] {
  return [...list, value];
}

function integer(name: string): (text: string) => number {
  return (text) => {
    if (!/^\d+$/.test(text)) throw new CommanderError(2, 'kvcast.usage', `error E_USAGE ${name}: got ${text}, expected a whole number`);
    return Number(text);
  };
}

/** `kvcast … | head`: a reader that leaves early is no failure; what was computed is stored, the rest is not printed. */
function readerLeft(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

/** Runs the command that the process was started with; never rejects, failures become an exit code. */
export async function main(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', readerLeft);
  const program = createProgram();
  try {
    await program.parseAsync(process.argv);
  } catch (error) {
    await (await import('./failure.ts')).fail(error, program);
  }
}
