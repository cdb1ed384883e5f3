/** Where the other side of a gate comes from: a baseline file, another scenario, the scenario of another revision. */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { UserError } from '../control/user-error.ts';
import type { Terminal } from '../reports/terminal.ts';
import { type LoadedScenario, loadScenarioSync } from '../scenarios/load-scenario.ts';
import { type Baseline, baselineText, isOtherMajor, readBaseline } from '../sim/experiment/gate/baseline-file.ts';
import type { NamedBaseline } from '../sim/experiment/gate/reduce-gate.ts';
import { policyCatalogue } from '../sim/experiment/policy-catalogue.ts';
import type { GateOptions } from './gate.ts';
import { checkOut } from './git-revision.ts';
import { writeWhole } from './reporters.ts';
import { shellWord } from './simulation.ts';

/** A baseline file: where it is and what it is called in messages. */
export interface BaselinePlace {
  readonly path: string;
  readonly shown: string;
}

/**
 * The file of --baseline (relative to the working directory), else `gate.baseline` of the scenario (relative to the file that says so,
 * else to the working directory). Throws UserError E_USAGE where neither is given.
 */
export function baselinePlace(loaded: LoadedScenario, flag: string | undefined): BaselinePlace {
  if (flag !== undefined) return { path: resolve(flag), shown: flag };
  const written = loaded.scenario.gate?.baseline;
  if (written === undefined)
    throw new UserError({
      severity: 'error',
      code: 'E_USAGE',
      file: loaded.file,
      message: 'got no baseline, expected --baseline FILE or gate.baseline in the scenario',
      hint: 'Make one: kvcast gate SCENARIO --baseline FILE --update',
    });
  const holder = loaded.origin('gate.baseline');
  const beside = holder?.kind === 'file' ? join(dirname(holder.source ?? loaded.file), written) : written;
  const shown = isAbsolute(written) || (!existsSync(beside) && existsSync(written)) ? written : beside;
  return { path: resolve(shown), shown };
}

/** Reads the baseline of a scenario. Throws UserError E_USAGE, E_FILE, E_BASELINE. */
export function readNamed(loaded: LoadedScenario, flag: string | undefined): NamedBaseline {
  const { path, shown } = baselinePlace(loaded, flag);
  return { source: shown, baseline: readBaseline(path, shown) };
}

/** The baseline that --update is about to replace; null if there is none, or one that cannot be compared. */
export function readIfThere({ path, shown }: BaselinePlace): Baseline | null {
  if (!existsSync(path)) return null;
  try {
    const baseline = readBaseline(path, shown);
    return isOtherMajor(baseline) ? null : baseline;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** Writes a baseline whole or not at all; makes its folder. Throws UserError E_OUTPUT, E_BASELINE_SIZE. */
export function writeBaseline({ path, shown }: BaselinePlace, baseline: Baseline): void {
  const text = baselineText(baseline);
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch {
    throw new UserError({ severity: 'error', code: 'E_OUTPUT', file: shown, message: 'cannot make its folder' }, 1);
  }
  writeWhole(path, text);
}

/** The other scenario of --against, and how to forget what was checked out for it. Throws UserError. */
export async function otherScenario(
  against: string,
  candidate: string,
  options: GateOptions,
  terminal: Terminal,
): Promise<{ readonly loaded: LoadedScenario; dispose(): void }> {
  const common = {
    policies: policyCatalogue(),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...(options.reps === undefined ? {} : { reps: options.reps }),
  };
  if (!against.startsWith('git:')) return { loaded: loadScenarioSync({ file: against }, common), dispose: () => undefined };
  const { folder, root, dispose } = checkOut(against.slice('git:'.length));
  try {
    const here = realpathSync(process.cwd());
    const inside = relative(root, resolve(here, candidate));
    if (inside.startsWith('..') || isAbsolute(inside) || !existsSync(join(folder, inside)))
      throw new UserError({
        severity: 'error',
        code: 'E_FILE',
        file: candidate,
        message: `cannot read it in ${against} (no such file)`,
        hint: 'The scenario must be a file of the repository in that revision',
      });
    terminal.note(`read ${candidate} of ${against}`);
    const cwd = join(folder, relative(root, here));
    mkdirSync(cwd, { recursive: true });
    return { loaded: loadScenarioSync({ file: relative(cwd, join(folder, inside)) }, { ...common, cwd }), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** The command that repeats a gate: flags that decide it, nothing of this machine. */
export function gateReproduce(scenario: string, options: GateOptions): string {
  const words = ['kvcast', 'gate', shellWord(scenario)];
  const flag = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) words.push(name, shellWord(String(value)));
  };
  flag('--baseline', options.baseline);
  flag('--against', options.against);
  for (const set of options.set ?? []) flag('--set', set);
  flag('--seed', options.seed);
  flag('--reps', options.reps);
  flag('--arm', options.arm);
  for (const [isOn, name] of [
    [options.allowInputChange, '--allow-input-change'],
    [options.requireConclusive, '--require-conclusive'],
    [options.enforceSlo, '--enforce-slo'],
    [options.update, '--update'],
  ] as const)
    if (isOn === true) words.push(name);
  return words.join(' ');
}
