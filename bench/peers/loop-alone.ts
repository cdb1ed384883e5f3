/** `node dist/bench.js peers-loop SCENARIO WORKERS`: the event loop of a scenario alone, once V8 has compiled it. */
import { prepareTrace } from '../../sim/experiment/simulate.ts';
import { fleetFigures, scenarioPlan } from '../fleet-figures.ts';
import type { Answer } from './programs.ts';

const RUNS = 6;

/** Runs the first arm and replication several times in this process; the fastest loop. */
export async function loopAlone(scenario: string, workers: string): Promise<Answer> {
  const plan = await scenarioPlan(scenario, [`fleet.pools.main.workers=${workers}`]);
  const trace = await prepareTrace(plan, 0);
  const runs = Array.from({ length: RUNS }, () => fleetFigures(plan, trace));
  return { requests: runs[0]!.requests, hitShare: null, loopS: Math.min(...runs.map((run) => run.loopMs)) / 1000 };
}
