/** Model dimensions: what the memory formula and the choice of engine defaults need to know about a model. */
import data from './data/models.json' with { type: 'json' };

/** How weights are stored; keys of `weightBytesPerParam`. */
export type WeightDtype = 'bf16' | 'fp8' | 'nvfp4' | 'mxfp4' | 'int4';
/** How KV entries are stored. */
export type KvDtype = 'bf16' | 'fp8';

/** One row of data/models.json. Sizes in bytes of one full replica, before sharding. */
export interface ModelSpec {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly family: 'dense' | 'moe';
  /** `gqa`, `mla`, `gqa+sliding-window`, `gqa+linear`. */
  readonly attention: string;
  readonly layers: number;
  readonly kvHeads: number;
  /** Parameters in 1e9. */
  readonly paramsB: number;
  /** Limit of the first release; a preset may state a later checkpoint's. */
  readonly maxContextTokens: number;
  readonly kvBytesPerTokenBf16: number;
  readonly kvBytesPerTokenFp8: number;
  /** MLA: every tensor-parallel rank stores the whole KV. */
  readonly kvReplicatedPerTpRank: boolean;
  /** Bytes per running sequence, independent of its length (windows, recurrent state). */
  readonly perSequenceBytes: number;
  /** Where the dimensions come from; `config` or a mark that they are unverified. */
  readonly dimsFrom: string;
}

/** All known models in file order. */
export const MODELS: readonly ModelSpec[] = data.models as unknown as readonly ModelSpec[];

const WEIGHT_BYTES: Readonly<Record<WeightDtype, number>> = data.weightBytesPerParam;

/** Model by id or published name (case-insensitive); undefined when unknown. */
export function findModel(name: string): ModelSpec | undefined {
  const wanted = name.toLowerCase();
  return MODELS.find((m) => m.id === wanted || m.aliases.some((a) => a.toLowerCase() === wanted));
}

/** Bytes of all weights of a replica. Source: performance-model specification 10.2; 4-bit factors include scales only. */
export function weightBytes(model: ModelSpec, weights: WeightDtype): number {
  return model.paramsB * 1e9 * WEIGHT_BYTES[weights];
}
