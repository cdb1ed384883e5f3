import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { allFieldPaths, eachField, type FieldSchema, fieldAt } from './schema-walk.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Extension keywords; anything else is a misspelling. */
const KNOWN = new Set([
  'x-unit',
  'x-tier',
  'x-owner',
  'x-default',
  'x-defaultByKind',
  'x-scalar',
  'x-min',
  'x-max',
  'x-exclusiveMin',
  'x-powerOfTwo',
  'x-inf',
  'x-words',
  'x-values',
  'x-patternText',
  'x-hint',
  'x-preset',
  'x-policy',
  'x-shorthand',
  'x-open',
  'x-setPaths',
  'x-inertWhen',
  'x-unsupported',
]);

const fields: { path: string; field: FieldSchema; parent: FieldSchema }[] = [];
eachField((path, field, parent) => fields.push({ path, field, parent }));

describe('the scenario schema', () => {
  it('describes every field and says its unit, tier, owner, and what happens when it is left out', () => {
    const gaps = fields.flatMap(({ path, field, parent }) => {
      const missing: string[] = [];
      if (!field.description) missing.push('description');
      const isLeaf = field.properties === undefined && field.items === undefined;
      const name = path.replace(/\[\]$/, '').split('.').at(-1)!;
      const told =
        field.default !== undefined ||
        field['x-default'] !== undefined ||
        field['x-defaultByKind'] !== undefined ||
        parent.required?.includes(name) === true;
      if (isLeaf) for (const keyword of ['x-unit', 'x-tier', 'x-owner'] as const) if (field[keyword] === undefined) missing.push(keyword);
      const optionalBySection = /^(workload|fleet|sweep|gate|plan)\..*/.test(path) && parent.required?.includes(name) !== true;
      if (isLeaf && !told && !optionalBySection && !path.endsWith('[]')) missing.push('default or required');
      return missing.length === 0 ? [] : [`${path}: ${missing.join(', ')}`];
    });
    expect(gaps).toEqual([]);
  });

  it('uses no extension keyword that nothing reads', () => {
    const unknown = fields.flatMap(({ path, field }) =>
      Object.keys(field)
        .filter((key) => key.startsWith('x-') && !KNOWN.has(key))
        .map((key) => `${path} ${key}`),
    );
    expect(unknown).toEqual([]);
  });

  it('names existing fields in its conditions', () => {
    const broken = fields.flatMap(({ path, field }) => {
      const when = field['x-inertWhen'];
      if (when === undefined) return [];
      const siblings = path.split('.').slice(0, -1);
      const target = when.path.includes('.') ? when.path.replace(/^\//, '') : [...siblings, when.path].join('.');
      const known = allFieldPaths().includes(target.replaceAll('[]', ''));
      return known && (when.is !== undefined) !== (when.not !== undefined) ? [] : [`${path} -> ${target}`];
    });
    expect(broken).toEqual([]);
  });

  it('finds a field by its path', () => {
    expect(fieldAt(['fleet', 'pools', 0, 'workers'])?.maximum).toBe(1024);
    expect(fieldAt(['fleet', 'pool'])).toBeUndefined();
  });

  it('is what types and validator were generated from, to the byte', () => {
    const check = () => execFileSync(process.execPath, [join(ROOT, 'scripts/generate-types.mjs'), '--check'], { encoding: 'utf8' });
    expect(check).not.toThrow();
  });
});
