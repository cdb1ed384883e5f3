/**
 * The document of `kvcast gate`, version 1.0: what --json prints and gate.json holds; every report of a gate is made from it. Key order
 * is part of the format (design/cli.md section 4); values are in registry units, differences in the unit that they name.
 */
import type { Verdict } from '../result.ts';
import type { Severity } from './gate-rules.ts';

/** Version of this document's form. */
export const GATE_FORMAT = '1.0';

/** `breached` = a threshold or SLO failed; `refused` = other inputs, nothing was judged; `updated` = a new baseline was written. */
export type GateVerdict = 'pass' | 'regressed' | 'breached' | 'inconclusive' | 'refused' | 'updated' | 'partial';

/** A leaf that differs between baseline and candidate. */
export interface LeafChange {
  /** As --set takes it. */
  readonly path: string;
  /** Normal text; null = not there. */
  readonly baseline: string | null;
  readonly candidate: string | null;
  /** Where the candidate's value comes from: `file a.yaml:14:12`, `flag --set …`, `default`; null if it is gone. */
  readonly origin: string | null;
  /** Place for an annotation, where the value stands in a file. */
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** One compared input. */
export interface InputRow {
  /** format, workloadHash, traceHash, fleetHash, modelHash, settingsHash, kvcast. */
  readonly input: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly equal: boolean;
  readonly leaves: readonly LeafChange[];
  /** Why it differs where no leaf does. */
  readonly note?: string;
}

/** Paired difference of a metric and its verdict at the level that it is judged at. */
export interface GateVerdictRow {
  readonly expr: string;
  /** Of the difference: %, pp or the metric's own. */
  readonly unit: string;
  readonly delta: number | null;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly level: number;
  readonly noise: number;
  readonly verdict: Verdict | null;
  readonly severity: Severity;
  readonly scale: 'ratio' | 'proportion' | 'count';
  readonly metricUnit: string;
  readonly metricScale: 'ratio' | 'proportion' | 'count';
  /** Means over the paired replications and the half-width of the baseline's. */
  readonly baseline: number | null;
  readonly candidate: number | null;
  readonly halfWidth: number | null;
  readonly pairs: number;
  /** Further replications until an inconclusive row could be judged. */
  readonly needMore: number | null;
  readonly note?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** A threshold, judged on the interval of its quantity at the level of the gate. */
export interface CheckRow {
  readonly expr: string;
  readonly level: Severity;
  readonly lo: number | null;
  readonly hi: number | null;
  readonly verdict: 'pass' | 'fail' | 'open';
  readonly value: number | null;
  /** Registry unit of an absolute value; %, pp or registry unit of a difference. */
  readonly unit: string;
  /** Left of the operator; how to print an absolute value. */
  readonly metric: string;
  readonly metricScale: 'ratio' | 'proportion' | 'count';
  readonly relative: boolean;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** One part of a difference. */
export interface WhyRow {
  /** `kv.hit.routing`: part of the difference of kv.hit.total. */
  readonly row: string;
  readonly delta: number;
  readonly unit: string;
  /** The metric whose difference it is part of. */
  readonly of: string;
}

/** With --allow-input-change: the old policy on the new inputs splits every difference in two. */
export interface SplitRow {
  readonly expr: string;
  readonly unit: string;
  readonly total: number | null;
  readonly inputs: number | null;
  readonly policy: number | null;
}

export interface GateResult {
  readonly formatVersion: string;
  readonly scenario: { readonly name: string; readonly hash: string };
  readonly verdict: GateVerdict;
  readonly inputs: { readonly equal: boolean; readonly rows: readonly InputRow[] };
  readonly verdicts: readonly GateVerdictRow[];
  readonly checks: readonly CheckRow[];
  readonly why: readonly WhyRow[];
  readonly exit: { readonly code: number; readonly reasons: readonly string[] };
  readonly kvcastVersion: string;
  readonly arm: string;
  /** File of the scenario as it was named. */
  readonly file: string;
  readonly baseline: { readonly source: string; readonly kvcastVersion: string; readonly policyHash: string } | null;
  readonly policyHash: string;
  /** What changed of the policy. */
  readonly policy: readonly LeafChange[];
  /** Level over all metrics together, correction, paired replications. */
  readonly level: number;
  readonly familywise: 'none' | 'bonferroni' | 'holm';
  readonly replications: number;
  readonly requireConclusive: boolean;
  /** Only with --allow-input-change. */
  readonly split?: readonly SplitRow[];
  readonly slo: readonly { readonly name: string; readonly expr: string; readonly verdict: string }[];
  readonly health: readonly { readonly code: string; readonly message: string }[];
  readonly inert: readonly string[];
  readonly notes: readonly string[];
  /** Violations found by the invariants, and the level at which they were checked; null = nothing was simulated. */
  readonly invariants: { readonly level: string; readonly violations: number } | null;
  readonly reproduce: string;
}
