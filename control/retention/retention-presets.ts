/** The catalogue of retention presets: documents in presets/, one per `<name>@<version>`. A released document never changes. */
import type { Millis } from '../ports.ts';
import type { InferceptRule } from './infercept.ts';
import type { LeasePresetLike } from './lease-parameters.ts';
import type { LevelPresetLike } from './level-parameters.ts';
import infercept from './presets/infercept@1.json' with { type: 'json' };
import kvcastAuto from './presets/kvcast-auto@1.json' with { type: 'json' };
import kvcastAuto2 from './presets/kvcast-auto@2.json' with { type: 'json' };
import kvcastSoft from './presets/kvcast-soft@1.json' with { type: 'json' };
import kvcastSoft2 from './presets/kvcast-soft@2.json' with { type: 'json' };
import lru from './presets/lru@1.json' with { type: 'json' };
import mooncakeSoft from './presets/mooncake-soft@1.json' with { type: 'json' };
import pin from './presets/pin@1.json' with { type: 'json' };
import pin2 from './presets/pin@2.json' with { type: 'json' };
import provider from './presets/provider@1.json' with { type: 'json' };
import sessionReference from './presets/session-reference@1.json' with { type: 'json' };
import sglangPin from './presets/sglang-pin@1.json' with { type: 'json' };
import sglangSoft from './presets/sglang-soft@1.json' with { type: 'json' };
import sglangSoft2 from './presets/sglang-soft@2.json' with { type: 'json' };
import trtllm from './presets/trtllm@1.json' with { type: 'json' };
import trtllm2 from './presets/trtllm@2.json' with { type: 'json' };
import ttlDrop from './presets/ttl-drop@1.json' with { type: 'json' };
import vllmRetain from './presets/vllm-retain@1.json' with { type: 'json' };
import vllmRetain2 from './presets/vllm-retain@2.json' with { type: 'json' };

/** One parameter in JSON Schema 2020-12; `x-unit` (`duration` ms, `share`, `size` bytes) says how text in a scenario is parsed. */
export type ParameterSchema = Readonly<Record<string, unknown>>;

/** A preset as the catalogue lists it. */
export interface RetentionPreset {
  readonly kind: 'retention';
  readonly name: string;
  readonly version: number;
  /** A few words for lists. */
  readonly title: string;
  /** One sentence. */
  readonly summary: string;
  /** yes | needs <engine feature> | simulation only. */
  readonly deployable: string;
  readonly confidence: 'measured' | 'datasheet' | 'derived' | 'assumed';
  readonly sources: readonly string[];
  /** What the preset does not reproduce of what it is named after. */
  readonly limits: readonly string[];
  /** Parameters of the lease class; null = no claims. */
  readonly lease: LeasePresetLike['lease'] | null;
  /** Levels of block ranges; absent = none. */
  readonly levels?: LevelPresetLike['levels'];
  /** Session reference beside the claims; absent = off. */
  readonly session?: { readonly idleCloseMs: Millis };
  /** Least waste per pause; absent = not. */
  readonly infercept?: { readonly rule: InferceptRule };
  /** JSON Schema of `with:`. Numbers arrive in ms, bytes and shares. */
  readonly params: {
    readonly type: 'object';
    readonly additionalProperties: false;
    readonly required?: readonly string[];
    readonly properties: Readonly<Record<string, ParameterSchema>>;
  };
}

const PRESETS = [
  lru,
  kvcastSoft,
  kvcastSoft2,
  kvcastAuto,
  kvcastAuto2,
  sessionReference,
  infercept,
  pin,
  pin2,
  ttlDrop,
  sglangPin,
  sglangSoft,
  sglangSoft2,
  trtllm,
  trtllm2,
  vllmRetain,
  vllmRetain2,
  mooncakeSoft,
  provider,
] as unknown as readonly RetentionPreset[];

/** All retention presets, ordered by name and version. */
export function retentionPresets(): readonly RetentionPreset[] {
  return [...PRESETS].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version - b.version));
}
