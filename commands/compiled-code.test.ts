import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { setCompilerEffort } from '../sim/experiment/compiler-effort.ts';
import { CompiledCode } from './compiled-code.ts';

let folder: string;
let bundle: string;

const bundleOf = (answer: number): string =>
  `(function (require, module, exports, bundleUrl) {
     exports.answer = () => ${answer};
     exports.url = bundleUrl;
     exports.join = require('node:path').join;
   })`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvcast-code-'));
  bundle = join(folder, 'bundle.cjs');
  writeFileSync(bundle, bundleOf(42));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Exports {
  readonly url: string;
  answer(): number;
  join(a: string, b: string): string;
}

/** Starts the bundle as a process would; keeps its code. */
function started(): Exports {
  const code = CompiledCode.load(bundle, pathToFileURL(bundle).href, join(folder, 'code'))!;
  const exports = code.run() as Exports;
  expect(exports.answer()).toBeGreaterThan(0);
  code.keep();
  return exports;
}

const kept = (): string[] => readdirSync(join(folder, 'code'));

/** Makes the kept file old, so that writing it again shows. */
function aged(): string {
  const path = join(folder, 'code', kept()[0]!);
  utimesSync(path, 1, 1);
  return path;
}

it('a bundle gets require and its own address, and its exports come back', () => {
  const exports = started();
  expect([exports.answer(), exports.url, exports.join('a', 'b')]).toEqual([42, pathToFileURL(bundle).href, join('a', 'b')]);
});

it('the second start uses what the first kept', () => {
  started();
  const path = aged();
  expect(started().answer()).toBe(42);
  expect(statSync(path).mtimeMs).toBe(1000);
});

it('code kept after the effort of the compiler went to and fro is used', () => {
  setCompilerEffort('little');
  setCompilerEffort('usual');
  started();
  const path = aged();
  started();
  expect(statSync(path).mtimeMs).toBe(1000);
});

it('a changed source of the same length is another program', () => {
  started();
  writeFileSync(bundle, bundleOf(43));
  expect(started().answer()).toBe(43);
  expect(kept()).toHaveLength(2);
  aged();
  writeFileSync(bundle, bundleOf(44));
  expect(started().answer()).toBe(44);
  expect(kept(), 'a month later one of them is gone').toHaveLength(2);
});

it('damaged and shortened files are replaced', () => {
  started();
  for (const damage of [
    (path: string) => truncateSync(path, 100),
    (path: string) => writeFileSync(path, ''),
    (path: string) => {
      const bytes = readFileSync(path);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(path, bytes);
    },
  ]) {
    const path = aged();
    damage(path);
    utimesSync(path, 1, 1);
    expect(started().answer()).toBe(42);
    expect(statSync(path).mtimeMs).toBeGreaterThan(1000);
  }
});

it('a folder that cannot be written costs nothing but the time', () => {
  writeFileSync(join(folder, 'code'), 'a file where the folder should be');
  const code = CompiledCode.load(bundle, pathToFileURL(bundle).href, join(folder, 'code'))!;
  expect((code.run() as Exports).answer()).toBe(42);
  code.keep();
  expect(readFileSync(join(folder, 'code'), 'utf8')).toMatch(/^a file/);
});

it('no bundle is null', () => expect(CompiledCode.load(join(folder, 'none.cjs'), 'file:///none', folder)).toBeNull());
