import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from './error-codes.ts';
import { findPackageRoot } from './presets.ts';

const ROOT = findPackageRoot();
const ROOMS = ['control', 'gateway', 'traces', 'scenarios', 'sim', 'reports', 'bench', 'commands'];

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith('.ts') && !entry.name.includes('.test.') && !entry.name.endsWith('.gen.ts') ? [path] : [];
  });
}

describe('error codes', () => {
  it('are all in the registry', () => {
    const files = ROOMS.filter((room) => existsSync(join(ROOT, room))).flatMap((room) => sources(join(ROOT, room)));
    const thrown = new Map<string, string>();
    for (const file of files) {
      for (const [, code] of readFileSync(file, 'utf8').matchAll(/['"`]([EW]_[A-Z][A-Z0-9_]+)['"`]/g))
        thrown.set(code!, file.slice(ROOT.length + 1));
    }
    expect(thrown.size).toBeGreaterThan(50);
    const missing = [...thrown].filter(([code]) => !(code in ERROR_CODES)).map(([code, file]) => `${code} (${file})`);
    expect(missing, 'add them to scenarios/error-codes.ts').toEqual([]);
  });

  it('have meaning, cause and remedy, without final stop', () => {
    for (const [code, entry] of Object.entries(ERROR_CODES)) {
      expect(code).toMatch(/^[EW]_[A-Z][A-Z0-9_]+$/);
      for (const text of [entry.meaning, entry.cause, entry.remedy]) {
        expect(text.length, code).toBeGreaterThan(3);
        expect(text, code).not.toMatch(/\.$/);
      }
    }
  });
});
