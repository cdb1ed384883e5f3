/** A routing policy as data: the shape of `presets/<name>@<version>.json`. Source: router specification 4. */

import type { QueueRecheck } from '../queue/queue-profile.ts';

/** A number, or `"$name"` (or `"-$name"`) for a parameter of the document. */
export type Value = number | string;
export type Direction = 'min' | 'max';

export type GateDocument =
  | 'always'
  | 'cold'
  | { readonly imbalance: { readonly feature: string; readonly abs: Value; readonly rel: Value } }
  | { readonly spread: { readonly feature: string; readonly above: Value } }
  | { readonly max: { readonly feature: string; readonly above: Value } }
  | { readonly bestRatio: { readonly above: Value } }
  | { readonly signalFresh: string }
  | { readonly and: readonly GateDocument[] }
  | { readonly or: readonly GateDocument[] }
  | { readonly not: GateDocument };

export type OnEmpty = 'keep' | 'nextRule' | 'none';

/** One of the filters plus what happens when nothing passes: `keep` all, try the `nextRule`, or refuse (`none`). */
export type FilterDocument = { readonly onEmpty?: OnEmpty } & (
  | { readonly ratioAtLeast: Value; readonly strict?: boolean }
  | { readonly stickyTtft: { readonly ratio: Value; readonly maxPenaltyMs: Value; readonly peakTokPerSec: Value } }
  | { readonly boundedLoad: { readonly feature: string; readonly c: Value } }
  | { readonly meanPlusSigma: { readonly feature: string; readonly k: Value } }
  | { readonly nearMin: { readonly feature: string; readonly within: Value } }
  | { readonly minOf: string }
  | { readonly maxOf: string }
  | { readonly cap: { readonly feature: string; readonly atMost: Value } }
  | { readonly fresh: string }
  | { readonly sample: Value }
);

/** `raw` (default) | `minmax` | `minmaxInverse` | `inverse` = 1 - x | `{scale}` = clamp01(x / scale) | `{inverseScale}` = 1 - that. */
export type NormDocument = 'raw' | 'minmax' | 'minmaxInverse' | 'inverse' | { readonly scale: Value } | { readonly inverseScale: Value };

export type CombineDocument =
  | { readonly cost: readonly (readonly [Value, string])[] }
  | { readonly sum: readonly (readonly [Value, string] | readonly [Value, string, NormDocument])[]; readonly clamp?: boolean }
  | { readonly product: readonly (readonly [string, Value])[] }
  | { readonly lex: readonly (readonly [string, Direction])[] };

export type PickDocument = 'arg' | 'uniform' | 'roundRobin' | 'weightedRandom' | { readonly softmax: { readonly T: Value } };

export interface RuleDocument {
  readonly id: string;
  readonly gate?: GateDocument;
  readonly filters?: readonly FilterDocument[];
  readonly combine?: CombineDocument;
  /** Order among rows that share the best score, before the tie rule of the document. */
  readonly tieBreak?: readonly (readonly [string, Direction])[];
  readonly pick: PickDocument;
}

export type TieMode = 'hash' | 'lowest' | 'highest' | 'random';

/** JSON Schema of one parameter: the subset that is checked. */
export interface ParamSchema {
  readonly type: 'number' | 'integer' | 'boolean' | readonly ('number' | 'integer' | 'boolean' | 'null')[];
  readonly title: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

export type ParamValue = number | boolean | null;

export type IndexMode = 'events' | 'approximate' | 'lru' | 'none';

/** How the index of a policy is fed. */
export interface IndexDocument {
  /** `approximate`: own decisions count for a time; `lru`: up to the capacity of their rank. */
  readonly mode: IndexMode;
  /** Approximate mode: time to live of an entry. */
  readonly ttlSec?: Value;
  /** Approximate mode: entries above which it is pruned to 80 %; null = never. */
  readonly maxBlocks?: Value | null;
  /** Approximate mode: expiries are rounded up to multiples of this, counted from the rank's first insert; default 0 = exact. */
  readonly bucketMs?: Value;
  /** Events mode: own decisions count for so long; null or 0 = off. */
  readonly predictedTtlSec?: Value | null;
}

/** How bookings are kept. Booleans may be `"$name"`. */
export interface LoadDocument {
  readonly assumeKvReuse?: boolean | string;
  readonly trackPrefillTokens?: boolean | string;
  /** False: D stays 0 and requests add no blocks to it. Default true. */
  readonly trackActiveBlocks?: boolean | string;
  readonly trackOutputBlocks?: boolean | string;
  /** Booked prefill melts as the declared prefill cost of its rank says. Default false: it counts whole until the first token. */
  readonly modelPrefill?: boolean | string;
  readonly staleAfterSec?: Value;
  /** `age`: so long after booking; `lease`: so long after the last sign of life. */
  readonly expiry?: 'age' | 'lease';
}

export interface PolicyDocument {
  readonly formatVersion: 1;
  readonly name: string;
  readonly version: number;
  readonly title: string;
  /** Project and file or paper the values come from. */
  readonly upstream?: Readonly<Record<string, string>>;
  /** `yes`, `needs <engine feature>` or `simulation only`. */
  readonly deployable: string;
  /** How sure we are that the preset does what its upstream does. */
  readonly confidence: 'proven by vectors' | 'read in source' | 'published description' | 'own definition';
  readonly index: IndexDocument;
  readonly load?: LoadDocument;
  readonly params?: Readonly<Record<string, ParamValue>>;
  readonly paramSchemas?: Readonly<Record<string, ParamSchema>>;
  readonly rules: readonly RuleDocument[];
  readonly ties?: { readonly mode?: TieMode; readonly eps?: Value };
  /** When a waiting queue looks at a blocked lane again; default always. */
  readonly queue?: { readonly recheck?: QueueRecheck };
}
