/** check, schema, presets, doctor, help: what is known, without a simulation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../control/user-error.ts';
import { thousands } from '../reports/text/numbers.ts';
import { runCheck } from '../scenarios/check-command.ts';
import type { CommandOutput } from '../scenarios/command-output.ts';
import { ERROR_CODES } from '../scenarios/error-codes.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { runPresets } from '../scenarios/presets-command.ts';
import { runSchema } from '../scenarios/schema-command.ts';
import { didYouMean } from '../scenarios/spelling.ts';
import { gateRules } from '../sim/experiment/gate/gate-rules.ts';
import { planOf } from '../sim/experiment/plan-of.ts';
import { policyCatalogue } from '../sim/experiment/policy-catalogue.ts';
import { VERSION } from '../version.ts';
import { commandHelp, HELP_TOPICS } from './help-topics.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/** `kvcast check SCENARIO…`: also compiles every arm, so that missing cells and too small memory are found. */
export async function check(files: readonly string[], options: OutputOptions): Promise<void> {
  const policies = policyCatalogue();
  print(
    await runCheck(files, {
      policies,
      describe: (scenario) => {
        gateRules(scenario);
        const plan = planOf(scenario, { metrics: [] });
        const pool = plan.arms[0]!.pools[0]!;
        return `KV ${thousands(pool.hbmTokens)}${pool.hostTokens > 0 ? ` + ${thousands(pool.hostTokens)} host` : ''} tokens per worker`;
      },
    }),
    options,
  );
}

/** `kvcast schema [KIND] [--resolved FILE] [--field PATH]` */
export async function schema(
  kind: string | undefined,
  options: OutputOptions & { readonly resolved?: string; readonly field?: string },
): Promise<void> {
  const request =
    options.resolved !== undefined
      ? { resolved: options.resolved }
      : options.field !== undefined
        ? { field: options.field }
        : { kind: kind ?? 'scenario' };
  const baseline = readFileSync(join(findPackageRoot(), 'scenarios/schema/baseline.v1.schema.json'), 'utf8');
  print(await runSchema(request, { policies: policyCatalogue(), schemas: { baseline } }), options);
}

/** `kvcast presets [KIND]` */
export async function presets(kind: string | undefined, options: OutputOptions): Promise<void> {
  const [kindName, name] = (kind ?? '').split('/');
  print(runPresets(kindName === '' ? undefined : kindName, name, { policies: policyCatalogue() }), options);
}

/** `kvcast doctor` */
export async function doctor(options: OutputOptions): Promise<void> {
  const { examine } = await import('../sim/experiment/doctor.ts');
  const findings = await examine(VERSION);
  const terminal = terminalOf(options);
  if (options.json === true) terminal.result(`${JSON.stringify(findings, null, 2)}\n`);
  else terminal.result(findings.map((f) => `${f.ok ? '✓' : f.level === 'error' ? '✗' : '!'} ${f.text}\n`).join(''));
  process.exitCode = options.strict === true && findings.some((f) => !f.ok) ? 3 : 0;
}

/** `kvcast help TOPIC`: a command, a code, or a topic. */
export async function help(topic: string, program: Command): Promise<void> {
  const code = ERROR_CODES[topic];
  if (code !== undefined) {
    process.stdout.write(`${topic}  ${code.meaning}.\nCause   ${code.cause}.\nRemedy  ${code.remedy}.\n`);
    return;
  }
  const text = HELP_TOPICS[topic] ?? commandHelp(topic, program);
  if (text !== undefined) {
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    return;
  }
  const names = [...program.commands.map((c) => c.name()), ...Object.keys(HELP_TOPICS), ...Object.keys(ERROR_CODES)];
  const hint = didYouMean(topic, names);
  throw new UserError({
    severity: 'error',
    code: 'E_USAGE',
    message: `got topic ${topic}, expected a command, a code or one of ${Object.keys(HELP_TOPICS).join(', ')}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

function print(output: CommandOutput, options: OutputOptions): void {
  const terminal = terminalOf(options);
  if (output.stdout.length > 0) terminal.result(`${output.stdout.join('\n')}\n`);
  for (const line of output.stderr) process.stderr.write(`${line}\n`);
  process.exitCode = output.exitCode;
}
