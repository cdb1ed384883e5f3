/** bound: how much better every arm could have been on the order in which it was served, by oracles that know the future. */
import { UserError } from '../control/user-error.ts';
import { liveProgress, plainProgress } from '../reports/progress.ts';
import { boundText } from '../reports/text/bound.ts';
import { didYouMean } from '../scenarios/spelling.ts';
import { ORACLE_NAMES, type OracleName } from '../sim/experiment/bound-result.ts';
import { resultJson } from '../sim/experiment/result-json.ts';
import type { PoolPlan, RunPlan } from '../sim/experiment/run-plan.ts';
import { prepareTrace, recordingService } from '../sim/experiment/simulate.ts';
import { type PointOutcome, simulatePoint } from '../sim/experiment/simulate-point.ts';
import { ResultStore } from '../sim/experiment/store.ts';
import { reduceBound } from '../sim/oracle/reduce-bound.ts';
import { exitOf, raiseExit } from './exit-code.ts';
import { interruption } from './interruption.ts';
import { writeReports } from './reporters.ts';
import { load, pointOptions, type SimulationOptions, shellWord, startNote, tellFindings } from './simulation.ts';
import { terminalOf } from './terminal.ts';

/** Blocks of a worker that never forgets; the jumping engine pays for runs of blocks in use only. */
const UNLIMITED_BLOCKS = 2 ** 30;

/** `kvcast bound SCENARIO [--oracle LIST]` */
export async function bound(scenario: string, options: SimulationOptions & { readonly oracle?: string }): Promise<void> {
  const terminal = terminalOf(options);
  const oracles = oraclesOf(options.oracle);
  const loaded = await load(scenario, options, terminal);
  const folder = options.out ?? `kvcast-out/${loaded.settings.name}-bound`;
  const store = new ResultStore(folder, options.force ?? false);
  const stop = interruption(terminal);
  const asked = options.oracle === undefined ? '' : ` --oracle ${oracles.join(',')}`;
  const common = {
    ...pointOptions('run', loaded, options, stop.signal, `kvcast bound ${shellWord(scenario)}${asked}`),
    out: null,
    onProgress: (facts: Parameters<typeof liveProgress>[0]) =>
      terminal.progress(liveProgress(facts), plainProgress(facts), performance.now()),
  };
  let outcome: PointOutcome;
  let unlimited: PointOutcome | null = null;
  try {
    outcome = await simulatePoint(loaded, {
      ...common,
      amend: recordingService,
      onStart: startNote(terminal),
    });
    if (oracles.includes('infinite') && !outcome.result.truncated && canGrow(outcome.plan)) {
      terminal.note('the same with memory that never fills');
      unlimited = await simulatePoint(loaded, {
        ...common,
        verify: false,
        amend: neverForgetting,
        replications: outcome.conducted.replications,
        onStart: () => undefined,
      });
    }
  } finally {
    stop.dispose();
  }
  const { plan, conducted, result } = outcome;
  const document = reduceBound(plan, conducted, result, {
    trace: await prepareTrace(plan),
    unlimited: unlimited === null || unlimited.result.truncated ? null : unlimited.result,
    oracles,
    onlyArm: options.arm,
  });
  const json = resultJson(document);
  store.write('result.json', json);
  terminal.note(`wrote ${folder}/result.json`);
  tellFindings(result, terminal);
  writeReports(options, terminal, { text: (paint) => boundText(document, result, paint), json: () => json });
  raiseExit(exitOf(result, options));
}

/** The stepped engine keeps a row per block: it cannot have that many. */
function canGrow(plan: RunPlan): boolean {
  return plan.arms.every((arm) => arm.pools.every((pool) => pool.stepMode === 'jump'));
}

/** More HBM than any trace fills, and no host tier to load from. */
function neverForgetting(plan: RunPlan): RunPlan {
  const grown = (pool: PoolPlan): PoolPlan => ({ ...pool, config: { ...pool.config, blocks: UNLIMITED_BLOCKS, hostBlocks: 0 } });
  return { ...plan, arms: plan.arms.map((arm) => ({ ...arm, pools: arm.pools.map(grown) })) };
}

/** Names in the order of the catalogue. Throws UserError E_USAGE. */
function oraclesOf(text: string | undefined): readonly OracleName[] {
  if (text === undefined) return ORACLE_NAMES;
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !(ORACLE_NAMES as readonly string[]).includes(name));
  if (wrong !== undefined) {
    const hint = didYouMean(wrong, [...ORACLE_NAMES]);
    throw new UserError({
      severity: 'error',
      code: 'E_USAGE',
      path: '--oracle',
      message: `got ${wrong === '' ? 'an empty name' : wrong}, expected a list of ${ORACLE_NAMES.join(', ')}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  return ORACLE_NAMES.filter((name) => names.includes(name));
}
