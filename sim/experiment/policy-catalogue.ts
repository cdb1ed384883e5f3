/** The policies of control/ as the loader of scenarios sees them: names, titles and parameters. Loads no simulator. */
import { admissionPresets } from '../../control/admission/admission-presets.ts';
import { QUEUE_PARAMETERS } from '../../control/queue/queue-parameters.ts';
import { retentionPresets } from '../../control/retention/retention-presets.ts';
import { routerPresets } from '../../control/router/catalogue.ts';
import type { ParameterSchema, PolicyCatalogue, PolicyDescription } from '../../scenarios/presets.ts';

/** Every policy preset that a scenario may name. */
export function policyCatalogue(): PolicyCatalogue {
  const describe = (
    kind: PolicyDescription['kind'],
    list: readonly { name: string; version: number; title: string; params: unknown; confidence: string }[],
  ): PolicyDescription[] =>
    list.map((p) => ({
      kind,
      name: p.name,
      version: p.version,
      title: p.title,
      params: p.params as ParameterSchema,
      confidence: p.confidence as NonNullable<PolicyDescription['confidence']>,
    }));
  return [
    ...describe('router', routerPresets().map(withQueue)),
    ...describe('retention', retentionPresets()),
    ...describe('admission', admissionPresets()),
  ];
}

/** Every router may let requests wait. */
function withQueue<T extends { readonly params: Record<string, unknown> }>(preset: T): T {
  const { properties } = preset.params as { properties: Record<string, unknown> };
  return { ...preset, params: { ...preset.params, properties: { ...properties, ...QUEUE_PARAMETERS } } };
}
