import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { handResult } from './job-result.fixture.ts';
import { ResultStore, readStoredResult } from './store.ts';

const root = mkdtempSync(join(tmpdir(), 'kvcast-store-'));
afterAll(() => rmSync(root, { recursive: true }));
let made = 0;
const fresh = (): string => join(root, `s${made++}`);
const temporaries = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true }) as string[]).filter((name) => /tmp|probe/.test(name));

describe('writing', () => {
  it('makes folders, replaces whole files and leaves nothing temporary', () => {
    const folder = fresh();
    const store = new ResultStore(folder, false);
    store.write('a/b.json', 'first');
    store.write('a/b.json', 'second');
    expect(readFileSync(join(folder, 'a/b.json'), 'utf8')).toBe('second');
    expect(temporaries(folder)).toEqual([]);
  });
  it('that fails leaves no temporary file and what was there before', () => {
    const folder = fresh();
    const store = new ResultStore(folder, false);
    mkdirSync(join(folder, 'result.json/inside'), { recursive: true });
    expect(() => store.write('result.json', 'x')).toThrow(/E_OUTPUT/);
    expect(temporaries(folder)).toEqual([]);
    expect(existsSync(join(folder, 'result.json/inside'))).toBe(true);
  });
  it('below a file is refused', () => {
    const folder = fresh();
    const store = new ResultStore(folder, false);
    store.write('plain', 'x');
    expect(() => store.write('plain/below.json', 'x')).toThrow(/E_OUTPUT.*cannot write/);
    expect(readFileSync(join(folder, 'plain'), 'utf8')).toBe('x');
  });
});

describe('opening', () => {
  it('takes an empty folder and one of its own, and removes the old result', () => {
    const folder = fresh();
    mkdirSync(folder);
    const store = new ResultStore(folder, false);
    store.write('result.json', '{}');
    store.addJob('p', 'a', handResult(0, 0, {}));
    new ResultStore(folder, false);
    expect(readdirSync(folder)).toEqual(['run-info.json']);
  });
  it('refuses a folder with files of others, unless forced, and leaves them', () => {
    const folder = fresh();
    mkdirSync(folder);
    writeFileSync(join(folder, 'thesis.tex'), 'x');
    expect(() => new ResultStore(folder, false)).toThrow(/E_OUTPUT.*files that kvcast did not write/);
    expect(readdirSync(folder)).toEqual(['thesis.tex']);
    new ResultStore(folder, true);
    expect(readFileSync(join(folder, 'thesis.tex'), 'utf8')).toBe('x');
  });
  it('refuses a path that is a file', () => {
    const file = fresh();
    writeFileSync(file, 'x');
    expect(() => new ResultStore(file, true)).toThrow(/E_OUTPUT.*cannot write \(a file is in the way\)/);
  });
});

describe('replications', () => {
  it('are stored without wall times, with their tables, and noted in the journal with their digest', () => {
    const folder = fresh();
    const store = new ResultStore(folder, false);
    store.addJob('point', 'lru', handResult(0, 7, { x: 1.5 }, { sessionsCsv: 'a,b\n1,2\n' }));
    store.addJob('point', 'lru', handResult(0, 8, { x: 2.5 }));
    const lines = readFileSync(join(folder, 'journal.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((l) => l.file)).toEqual(['points/point/lru/rep-0007.json', 'points/point/lru/rep-0008.json']);
    for (const line of lines) {
      const text = readFileSync(join(folder, line.file));
      expect(createHash('sha256').update(text).digest('hex')).toBe(line.sha256);
      expect(JSON.parse(text.toString()).facts).not.toHaveProperty('wallMs');
    }
    expect(lines[0].runKey).not.toBe(lines[1].runKey);
    expect(gunzipSync(readFileSync(join(folder, 'points/point/lru/rep-0007.sessions.csv.gz'))).toString()).toBe('a,b\n1,2\n');
  });
});

describe('reading a stored result', () => {
  it('takes the folder or the file, and says what is wrong', () => {
    const folder = fresh();
    new ResultStore(folder, false).write('result.json', '{"formatVersion":"1.0"}');
    expect(readStoredResult(folder)).toEqual({ formatVersion: '1.0' });
    expect(readStoredResult(join(folder, 'result.json'))).toEqual({ formatVersion: '1.0' });
    expect(() => readStoredResult(fresh())).toThrow(/E_FILE.*no such file/);
  });
});
