/** Policy presets for tests of the loader: a small stand-in for the catalogue of control/. */
import type { PolicyCatalogue } from './presets.ts';

/** Names and parameter schemas in the dialect of the real presets. */
export function testPolicies(): PolicyCatalogue {
  const duration = { type: 'number', minimum: 0, 'x-unit': 'duration' } as const;
  const none = { type: 'object', additionalProperties: false, properties: {} } as const;
  const ttl = {
    oneOf: [{ type: 'string', enum: ['fixed', 'hazard'] }, duration, { type: 'object', properties: { tool: duration, human: duration } }],
  };
  const soft = {
    type: 'object',
    additionalProperties: false,
    required: ['ttl'],
    properties: {
      ttl,
      refresh: { type: 'string', enum: ['onHit', 'never'], default: 'onHit' },
      jitter: { type: 'number', minimum: 0, maximum: 1, 'x-unit': 'share', default: 0.1 },
    },
  } as const;
  const cost = {
    type: 'object',
    additionalProperties: false,
    properties: { c: { type: 'number', minimum: 0, default: 1 }, reuse: { type: 'boolean', default: true } },
  } as const;
  return [
    { kind: 'router', name: 'round-robin', version: 1, title: 'in turn', params: none },
    { kind: 'router', name: 'dynamo-kv', version: 1, title: 'least cost', confidence: 'measured', params: cost },
    { kind: 'retention', name: 'lru', version: 1, title: "the engine's own order", confidence: 'measured', params: none },
    { kind: 'retention', name: 'kvcast-soft', version: 1, title: 'soft pin, refresh on hit', confidence: 'derived', params: soft },
    {
      kind: 'retention',
      name: 'ttl-drop',
      version: 1,
      title: 'drop at expiry',
      params: { type: 'object', properties: { ttl: { ...duration, default: 300_000 } } },
    },
    { kind: 'admission', name: 'none', version: 1, title: 'every session runs at once', params: none },
  ];
}
