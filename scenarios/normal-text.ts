/** One text per value of a scenario, however it was written: `300s` and `5m` are the same, so files that name values stay comparable. */
import { formatScalar, parseScalar, SCALAR_NAMES, type ScalarKind } from './scalars.ts';
import type { FieldSchema } from './schema-walk.ts';

/** Grammars tried where the schema leaves a field open (parameters of policies); a text that none reads stays as it is. */
const OPEN_KINDS: readonly ScalarKind[] = ['duration', 'size', 'bandwidth', 'rate'];

/** The normal text of a leaf; `field` is its schema, undefined inside open maps. Lists and maps that are empty become `[]`, `{}`. */
export function normalText(value: unknown, field: FieldSchema | undefined): string {
  if (typeof value !== 'string' && typeof value !== 'number') return JSON.stringify(value);
  const kind = field?.['x-scalar'];
  const known = kind !== undefined && kind in SCALAR_NAMES ? [kind as ScalarKind] : field === undefined ? OPEN_KINDS : [];
  for (const candidate of known) {
    if (typeof value === 'number' && field === undefined) break;
    const parsed = parseScalar(candidate, value, true);
    if (typeof parsed === 'number') return formatScalar(candidate, parsed);
  }
  return String(value);
}
