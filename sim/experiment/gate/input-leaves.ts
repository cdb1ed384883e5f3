/**
 * What a gate holds equal and what it judges: the leaves of one arm, dealt to the inputs of a run (workload, trace, fleet, model,
 * settings) and to the policy, with a hash for each. Source: experiments specification 5.1, 5.4.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { LoadedArm, NormalLeaf } from '../../../scenarios/load-scenario.ts';
import type { Trace } from '../../../traces/columns.ts';
import { cellFile } from '../../hardware/cells.ts';
import { materialiseWorkload } from '../../workload/materialise.ts';
import type { ArmPlan, PoolPlan, RunPlan } from '../run-plan.ts';

/** Inputs in the order in which they are compared. */
export const INPUT_KINDS = ['workload', 'trace', 'fleet', 'model', 'settings'] as const;
export type InputKind = (typeof INPUT_KINDS)[number];

/** Path -> normal text. */
export type LeafTexts = Readonly<Record<string, string>>;

/** Everything that a difference must not come from. */
export interface GateInputs {
  /** Hex sha256 of the materialised workload by replication, as many as are known. */
  readonly workloadHash: readonly string[];
  /** Digest of the recorded trace, or of the generator's settings. */
  readonly traceHash: string;
  readonly fleetHash: string;
  readonly modelHash: string;
  readonly settingsHash: string;
  /** What the hashes are made from, for the table of what changed. */
  readonly leaves: Readonly<Record<InputKind, LeafTexts>>;
}

/** Settings of a run that bound its effort or its records and cannot change a value. */
const LIMITS = new Set(['replications', 'primary', 'record', 'checks', 'timeLimit', 'noProgress']);

/** Where a leaf of an arm belongs; null = identity, presentation and limits. */
export function inputOf(path: string): InputKind | 'policy' | null {
  const [section, second = ''] = path.split(/[.[]/);
  switch (section) {
    case 'control':
      return second === 'hints' ? 'workload' : second === 'signals' ? 'fleet' : 'policy';
    case 'workload':
      return /^workload\.(trace|synth)\.(use|format)$/.test(path) ? 'trace' : 'workload';
    case 'seed':
      return 'workload';
    case 'fleet':
      return second === 'model' ? 'model' : 'fleet';
    case 'kind':
    case 'slo':
    case 'cost':
      return 'settings';
    case 'run':
      return LIMITS.has(second) ? null : 'settings';
    default:
      return null;
  }
}

/** Texts of the leaves of one input or of the policy, sorted by path. */
export function leavesOfInput(leaves: readonly NormalLeaf[], kind: InputKind | 'policy'): LeafTexts {
  const own = leaves.filter((leaf) => inputOf(leaf.path) === kind).map((leaf) => [leaf.path, leaf.text] as const);
  return Object.fromEntries(own.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Inputs of an arm. `workloadHashes` are those of its replications, in order; {@link workloadHashOf} makes the first one before
 * anything is simulated.
 */
export function gateInputs(arm: LoadedArm, plan: RunPlan, trace: Trace, workloadHashes: readonly string[]): GateInputs {
  const written = arm.leaves();
  const armPlan = armOf(plan, arm.name);
  const leaves = {
    workload: leavesOfInput(written, 'workload'),
    trace: leavesOfInput(written, 'trace'),
    fleet: leavesOfInput(written, 'fleet'),
    model: { ...leavesOfInput(written, 'model'), ...timingLeaves(armPlan) },
    settings: leavesOfInput(written, 'settings'),
  };
  return {
    workloadHash: workloadHashes,
    traceHash: 'file' in plan.trace ? trace.header.source.digest.replace(/^sha256:/, '') : hashOf(plan.trace.options),
    fleetHash: hashOf(leaves.fleet),
    modelHash: hashOf(leaves.model),
    settingsHash: hashOf(leaves.settings),
    leaves,
  };
}

/** Hash of the workload of a replication, without simulating it. Cost: that of materialising it. */
export function workloadHashOf(plan: RunPlan, trace: Trace, replication: number): string {
  return materialiseWorkload(trace, plan.workload, plan.seed, replication).hash;
}

/** The compiled arm of a name. */
export function armOf(plan: RunPlan, name: string): ArmPlan {
  const arm = plan.arms.find((a) => a.name === name);
  if (arm === undefined) throw new Error(`the plan has no arm ${name}`);
  return arm;
}

/** Hex sha256 of the canonical JSON of a value. */
export function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(canonicalize(value) as string)
    .digest('hex');
}

/** Where the step times of each pool come from: no leaf of the scenario says so, and a cell may be fitted anew. */
function timingLeaves(arm: ArmPlan): LeafTexts {
  return Object.fromEntries(arm.pools.map((pool) => [`timing of fleet.pools.${pool.name}`, timingText(pool)]));
}

function timingText(pool: PoolPlan): string {
  const cell = cellFile().cells.find((c) => c.id === pool.cell);
  return cell === undefined ? pool.cell : `${pool.cell} #${hashOf(cell).slice(0, 8)}`;
}
