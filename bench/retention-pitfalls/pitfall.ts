/** What a pitfall of retention is: a scenario, what must hold for whole runs of it, and a bug that breaks just that. */
import type { ActionOutcome, KvAction } from '../../control/ports.ts';
import type { ClusterRun } from '../../sim/cluster/cluster-spec.ts';
import type { Worker } from '../../sim/engine/worker.ts';
import type { JobResult } from '../../sim/experiment/job-result.ts';
import type { SourceBug } from '../seeded-bundle.ts';

/** Of the two implementations of a worker, the fast one and the obviously right one. */
export const ENGINES = ['jump', 'reference'] as const;
export type Engine = (typeof ENGINES)[number];

/** An action as the control plane sent it, with its outcome as far as the plane has heard of it. */
export interface SentAction {
  readonly tMs: number;
  readonly action: KvAction;
  outcome?: ActionOutcome;
}

/** The workers together at a look of the run, every 10 s while anything happens (sim/cluster/occupancy.ts). */
export interface FleetSample {
  readonly tMs: number;
  /** Unreferenced blocks under a live claim. */
  readonly claimedBlocks: number;
  /** Blocks, since the start. */
  readonly claimsExpired: number;
  readonly claimsBroken: number;
  readonly hbmEvictedBlocks: number;
}

/** One arm, run to its end. */
export interface PitfallRun {
  readonly run: ClusterRun;
  /** Metrics, facts, tokens by cause. */
  readonly result: JobResult;
  /** As the run left them. */
  readonly workers: readonly Worker[];
  readonly sent: readonly SentAction[];
  readonly samples: readonly FleetSample[];
}

/** One row of retention specification 15. */
export interface Pitfall {
  /** Name of the scenario below scenarios/retention/; begins with the row, e.g. `s01-`. */
  readonly scenario: string;
  /** What must hold, as a statement. */
  readonly criterion: string;
  /** Metric expressions that {@link violations} reads beside those of the scenario. */
  readonly metrics?: readonly string[];
  /** What does not hold in the runs of one engine, by name of the arm; empty = the criterion is met. */
  violations(arms: ReadonlyMap<string, PitfallRun>): string[];
  /** With it the criterion must not be met on `engine` (default jump). */
  readonly bug: SourceBug & { readonly engine?: Engine };
}

/** `text` if something does not hold: criteria are lists of these. */
export function unless(holds: boolean, text: string): string[] {
  return holds ? [] : [text];
}
