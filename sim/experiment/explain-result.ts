/**
 * The document of `kvcast explain`, version 1.0: where the time of turns went under one arm, or why it differs between two. Times in
 * seconds. Key order is part of the format.
 */
import type { Cause } from '../measure/causes.ts';
import type { Component } from '../measure/turn-components.ts';
import type { RowName } from '../measure/waterfall.ts';
import type { ArmPart } from './arm-parts.ts';
import type { CauseRow } from './result.ts';
import type { TurnDecision } from './turn-decisions.ts';

/** Who is explained, or compared with. */
export interface ExplainedArm {
  readonly result: string;
  readonly arm: string;
  readonly runHashes: readonly string[];
  /** Value of the metric, mean over the replications, s; null = no turn has one. */
  readonly value: number | null;
}

/** Mean over replications with its interval, s; null = fewer than two values. */
export interface Difference {
  readonly delta: number;
  readonly lo: number | null;
  readonly hi: number | null;
}

/** One row of the waterfall. `subject` rows sum to the value of the subject, deltas to the difference. */
export interface ExplainRow extends Partial<Difference> {
  /** r1, r2, … by size; what sentences cite. */
  readonly id: string;
  /** A component, `unpaired`, `residual`, or `other`. */
  readonly component: RowName | 'other';
  /** Of the row `other`: how many rows it holds. */
  readonly merged?: number;
  readonly subject: number;
  readonly reference?: number;
}

/** A sentence made from rows. */
export interface Sentence {
  readonly text: string;
  readonly rows: readonly string[];
}

/** Tokens of first admissions under both. */
export interface ExplainCauses {
  readonly subject: CauseRow;
  readonly reference?: CauseRow;
}

/** Tokens of a prompt that no tier served, for one reason. */
export interface MissedTokens {
  readonly cause: Cause;
  readonly tokens: number;
}

/** What became of the prompt of a turn, and why it was sent where it was. */
export interface TurnFate {
  readonly promptTokens: number;
  /** Most tokens first; what is missing to promptTokens was served by a tier. */
  readonly missed: readonly MissedTokens[];
  readonly decision?: TurnDecision;
}

/** One component of one turn. */
export interface CostlyEvent extends TurnFate {
  readonly turn: string;
  readonly component: Component;
  readonly time: number;
}

/** A session that suffered. Components of all its turns that the metric counts, from arrival to last token, s. */
export interface WorstSession {
  readonly session: string;
  readonly replication: number;
  readonly turns: number;
  readonly slowdown: number;
  readonly activeTime: number;
  readonly reference?: { readonly slowdown: number; readonly activeTime: number };
  readonly components: Readonly<Partial<Record<Component, number>>>;
  /** The three largest components of single turns, own decoding aside. */
  readonly costliest: readonly CostlyEvent[];
}

/** One turn of the session asked for: components of the metric, s. */
export interface SessionTurn extends TurnFate {
  readonly turn: string;
  readonly replication: number;
  readonly value: number;
  readonly reference?: number;
  readonly components: Readonly<Partial<Record<Component, number>>>;
}

/** The share of one part in the difference, in the unit of the metric. */
export interface SwapPart extends Difference {
  readonly part: ArmPart;
  /** What it changes with every other part as in the reference; with every other part as in the subject. */
  readonly alone: number;
  readonly last: number;
}

/** The difference split among the parts in which the arms differ (Shapley): `delta` of the parts sum to it. */
export interface ExplainSwap {
  /** Replications in which every mixture has a value. */
  readonly replications: number;
  readonly parts: readonly SwapPart[];
  /** The difference minus the sum of `alone`. */
  readonly interaction: Difference;
  /** Mean of the metric with some parts as in the subject and the others as in the reference. */
  readonly mixtures: readonly { readonly changed: readonly ArmPart[]; readonly value: number }[];
}

export interface ExplainResult {
  readonly formatVersion: string;
  readonly kvcastVersion: string;
  readonly command: 'explain';
  readonly metric: { readonly expr: string; readonly unit: 's' };
  readonly subject: ExplainedArm;
  readonly reference: ExplainedArm | null;
  /** Difference of the values. */
  readonly difference: Difference | null;
  readonly replications: readonly number[];
  /** Turns with a value, and those that components are means of, over the replications. */
  readonly turns: { readonly subject: number; readonly reference: number; readonly paired: number };
  /** The waterfall: largest first, small rows as `other`. */
  readonly rows: readonly ExplainRow[];
  /** Every row that is not zero, in the order of a turn's life. */
  readonly components: readonly ExplainRow[];
  readonly sentences: readonly Sentence[];
  readonly causes: ExplainCauses;
  readonly worst: { readonly bySlowdown: readonly WorstSession[]; readonly byRegression: readonly WorstSession[] };
  readonly session: readonly SessionTurn[];
  readonly notes: readonly string[];
  /** Only with --swap. */
  readonly swap?: ExplainSwap;
}
