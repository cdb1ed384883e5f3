/** Options of Dynamo's KV router, under the names of its configuration, as parameters of `dynamo-kv@1`. Source: router specification 5.2, 5.2.1. */
import type { ParamValue } from './policy-document.ts';

/** The part of a Dynamo router configuration that the preset knows; absent = Dynamo's default. */
export interface DynamoRouterOptions {
  readonly overlap_score_credit?: number;
  readonly overlap_score_credit_decay?: number;
  readonly host_cache_hit_weight?: number;
  readonly disk_cache_hit_weight?: number;
  /** `hicache` = a hierarchical cache shared by the pool. */
  readonly shared_cache_type?: string;
  readonly shared_cache_multiplier?: number;
  readonly prefill_load_scale?: number;
  readonly decode_active_request_weight?: number;
  readonly router_temperature?: number;
  readonly router_track_active_blocks?: boolean;
  readonly router_track_output_blocks?: boolean;
  readonly router_assume_kv_reuse?: boolean;
  readonly router_track_prefill_tokens?: boolean;
}

const PARAMS: Readonly<Record<keyof DynamoRouterOptions, string>> = {
  overlap_score_credit: 'c',
  overlap_score_credit_decay: 'decay',
  host_cache_hit_weight: 'h',
  disk_cache_hit_weight: 'k',
  shared_cache_type: '',
  shared_cache_multiplier: 'm',
  prefill_load_scale: 's',
  decode_active_request_weight: 'a',
  router_temperature: 'T',
  router_track_active_blocks: 'trackActiveBlocks',
  router_track_output_blocks: 'trackOutputBlocks',
  router_assume_kv_reuse: 'assumeKvReuse',
  router_track_prefill_tokens: 'trackPrefillTokens',
};

/** Multiplier of a hierarchical shared cache where none is given. */
const HIERARCHICAL = 0.5;

/** Parameters of the preset. Options of other names are ignored, as they steer what the preset does not do. */
export function dynamoParams(options: DynamoRouterOptions): Record<string, ParamValue> {
  const params: Record<string, ParamValue> = {};
  if (options.shared_cache_type === 'hicache') params['m'] = HIERARCHICAL;
  for (const [option, value] of Object.entries(options)) {
    const name = PARAMS[option as keyof DynamoRouterOptions];
    if (name !== undefined && name !== '') params[name] = value as ParamValue;
  }
  return params;
}
