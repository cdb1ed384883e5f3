import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findPackageRoot, type ModelValues, newestOf, PRESET_KINDS, presetStore } from './presets.ts';

const ROOT = findPackageRoot();
const store = presetStore(ROOT);
const all = PRESET_KINDS.flatMap((kind) => store.list(kind).map((ref) => ({ kind, ref })));
const data = (name: string) => JSON.parse(readFileSync(join(ROOT, 'sim/hardware/data', name), 'utf8'));

describe('presets', () => {
  it('never change once released: their hashes are locked', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'scenarios/presets.lock.json'), 'utf8'));
    const found = Object.fromEntries(
      all.map(({ kind, ref }) => {
        const file = readFileSync(join(ROOT, 'scenarios/presets', kind, `${ref}.yaml`));
        return [`${kind}/${ref}`, createHash('sha256').update(file).digest('hex')];
      }),
    );
    expect(found).toEqual(lock);
  });

  it('give source and confidence for every number', () => {
    const numbers = (value: unknown): number =>
      typeof value === 'number'
        ? 1
        : typeof value === 'object' && value !== null
          ? Object.values(value).reduce((n: number, v) => n + numbers(v), 0)
          : 0;
    for (const { kind, ref } of all) {
      const preset = store.load(kind, ref)!;
      const told = preset.facts.filter((fact) => typeof fact.value === 'number');
      expect(numbers(preset.values), `${kind}/${ref}`).toBe(told.length);
      for (const fact of preset.facts) {
        expect(fact.source.length, `${ref} ${fact.path}`).toBeGreaterThan(3);
        expect(['measured', 'datasheet', 'derived', 'assumed'], `${ref} ${fact.path}`).toContain(fact.confidence);
      }
    }
  });

  it('say what the hardware data says', async () => {
    const script = join(ROOT, 'scripts/generate-presets.mjs');
    const { presetTexts } = (await import(/* @vite-ignore */ script)) as { presetTexts: () => Record<string, string> };
    for (const [path, text] of Object.entries(presetTexts())) {
      expect(parse(readFileSync(join(ROOT, 'scenarios/presets', path), 'utf8')), path).toEqual(parse(text));
    }
  });

  it('exist for every model and weights that have a timing cell, with the dtypes of the cell', () => {
    for (const cell of data('cells.json').cells as { model: string; dtype: { gemm: string; moe: string | null; weights: string } }[]) {
      const preset = store.load('model', `${cell.model}-${cell.dtype.weights}@1`);
      expect(preset, cell.model).toBeDefined();
      const values = preset!.values as unknown as ModelValues;
      expect([values.model, values.gemm, values.moe]).toEqual([cell.model, cell.dtype.gemm, cell.dtype.moe ?? 'none']);
    }
  });

  it('mean the 2507 checkpoints by qwen3-235b-a22b-fp8@1', () => {
    expect((store.load('model', 'qwen3-235b-a22b-fp8@1')!.values as unknown as ModelValues).contextLimit).toBe(262144);
  });

  it('name bundled traces and generators that are there', () => {
    for (const ref of store.list('workload'))
      expect(
        existsSync(join(ROOT, String(store.load('workload', ref)!.values['file'] ?? store.load('workload', ref)!.values['generator']))),
        ref,
      ).toBe(true);
  });

  it('know their newest version', () => {
    expect(newestOf('a', ['a@1', 'a@10', 'a@9', 'ab@11'])).toBe('a@10');
    expect(newestOf('b', ['a@1'])).toBeUndefined();
  });
});
