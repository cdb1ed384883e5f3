/** Every router preset that ships, imported as data. */
import { UserError } from '../user-error.ts';
import { compilePolicy, type Policy, paramsSchema } from './policy.ts';
import type { PolicyDocument } from './policy-document.ts';
import aibrixPrefix1 from './presets/aibrix-prefix@1.json' with { type: 'json' };
import dynamoKv1 from './presets/dynamo-kv@1.json' with { type: 'json' };
import dynamoKvLru1 from './presets/dynamo-kv-lru@1.json' with { type: 'json' };
import dynamoKvStaged1 from './presets/dynamo-kv-staged@1.json' with { type: 'json' };
import dynamoKvTtl1 from './presets/dynamo-kv-ttl@1.json' with { type: 'json' };
import dynamoLmetric1 from './presets/dynamo-lmetric@1.json' with { type: 'json' };
import dynamoLoadAware1 from './presets/dynamo-load-aware@1.json' with { type: 'json' };
import leastRequests1 from './presets/least-requests@1.json' with { type: 'json' };
import llmDAgentic1 from './presets/llm-d-agentic@1.json' with { type: 'json' };
import llmDDefault1 from './presets/llm-d-default@1.json' with { type: 'json' };
import llmDPrecise1 from './presets/llm-d-precise@1.json' with { type: 'json' };
import lmetric1 from './presets/lmetric@1.json' with { type: 'json' };
import powerOfTwo1 from './presets/power-of-two@1.json' with { type: 'json' };
import psLoadaware1 from './presets/ps-loadaware@1.json' with { type: 'json' };
import random1 from './presets/random@1.json' with { type: 'json' };
import roundRobin1 from './presets/round-robin@1.json' with { type: 'json' };
import sessionHash1 from './presets/session-hash@1.json' with { type: 'json' };
import sglCacheAware1 from './presets/sgl-cache-aware@1.json' with { type: 'json' };
import sglCacheAwareKeepAffinity1 from './presets/sgl-cache-aware-keep-affinity@1.json' with { type: 'json' };
import sglCacheAwareStruct1 from './presets/sgl-cache-aware-struct@1.json' with { type: 'json' };
import trtKv1 from './presets/trt-kv@1.json' with { type: 'json' };

/** One entry of the catalogue. */
export interface RouterPreset {
  readonly name: string;
  readonly version: number;
  readonly title: string;
  /** JSON Schema of `with:`. */
  readonly params: Record<string, unknown>;
  readonly document: PolicyDocument;
  readonly deployable: string;
  readonly confidence: string;
}

const DOCUMENTS = [
  random1,
  roundRobin1,
  leastRequests1,
  powerOfTwo1,
  sessionHash1,
  dynamoKv1,
  dynamoKvTtl1,
  dynamoKvLru1,
  dynamoLoadAware1,
  dynamoLmetric1,
  dynamoKvStaged1,
  lmetric1,
  sglCacheAware1,
  sglCacheAwareStruct1,
  sglCacheAwareKeepAffinity1,
  llmDPrecise1,
  llmDDefault1,
  llmDAgentic1,
  aibrixPrefix1,
  psLoadaware1,
  trtKv1,
] as unknown as PolicyDocument[];

/** All router presets, in the order in which they are listed to people. */
export function routerPresets(): RouterPreset[] {
  return DOCUMENTS.map((document) => ({
    name: document.name,
    version: document.version,
    title: document.title,
    params: paramsSchema(document),
    document,
    deployable: document.deployable,
    confidence: document.confidence,
  }));
}

/** Compiles the preset `<name>@<version>` with parameters. Throws {@link UserError} for an unknown name or a bad parameter. */
export function routerPolicy(preset: string, params: Readonly<Record<string, unknown>> = {}): Policy {
  const document = DOCUMENTS.find((candidate) => `${candidate.name}@${candidate.version}` === preset);
  if (document !== undefined) return compilePolicy(document, params);
  const known = DOCUMENTS.map((candidate) => `${candidate.name}@${candidate.version}`).join(', ');
  throw new UserError({
    severity: 'error',
    code: 'E_PRESET',
    message: `got ${JSON.stringify(preset)}, expected a router preset`,
    hint: `There are: ${known}`,
  });
}
