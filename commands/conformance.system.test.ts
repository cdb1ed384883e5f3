/** `kvcast conformance` as a user runs it: all suites, other folders, a difference, mistakes. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { emptyFolder, kvcast, type Outcome, ROOT } from './command-line.fixture.ts';

const VECTORS = (suite: string) => join(ROOT, 'bench/conformance', suite, 'vectors');

describe('kvcast conformance', () => {
  let all: Outcome;
  beforeAll(async () => {
    all = await kvcast(['conformance']);
  });

  it('finds every shipped recording equal, or explained by a rule that it prints', () => {
    expect(all.stderr).toBe('');
    expect(all.code).toBe(0);
    const lines = all.stdout.trimEnd().split('\n');
    const families = lines.filter((line) => / equal \d+ of \d+/.test(line) && !line.startsWith('all:'));
    let byRule = 0;
    for (const line of families) {
      const [, equal, of, rest] = /equal (\d+) of (\d+)(.*)$/.exec(line)!;
      const explained = Number(/^ · (\d+) by rule$/.exec(rest!)?.[1] ?? 0);
      expect(Number(equal) + explained, line).toBe(Number(of));
      byRule += explained;
    }
    const rules = lines.flatMap((line) => /^[a-z-]+ \((\d+)\): /.exec(line)?.[1] ?? []).map(Number);
    expect(rules.reduce((a, b) => a + b, 0)).toBe(byRule);
    const stepped = families.filter((line) => /^vllm [a-z]: /.test(line)).map((line) => Number(/of (\d+)/.exec(line)![1]));
    expect(stepped.reduce((a, b) => a + b)).toBe(323);
    expect(lines.some((line) => /^all: equal \d+ of \d+.* · different 0 · [\d,]+ values$/.test(line))).toBe(true);
  });

  it('gives every shipped file of cases a line', () => {
    for (const suite of ['vllm', 'dynamo-kv'])
      for (const file of readdirSync(VECTORS(suite)).filter((name) => name.endsWith('.jsonl.gz')))
        expect(all.stdout).toMatch(new RegExp(`^${suite} ${file.replace('.jsonl.gz', '')}: equal`, 'm'));
    expect(all.stdout).toMatch(/^aisimulate /m);
  });

  it('replays another folder and exits 3 with the first difference', async () => {
    const folder = emptyFolder();
    const text = gunzipSync(readFileSync(join(VECTORS('vllm'), 'm.jsonl.gz'))).toString('utf8');
    writeFileSync(join(folder, 'm.jsonl'), text);
    const same = await kvcast(['conformance', 'vllm', folder]);
    expect([same.code, same.stdout.split('\n')[0]]).toEqual([0, 'vllm m: equal 27 of 27']);
    mkdirSync(join(folder, 'vllm'));
    const forged = emptyFolder();
    mkdirSync(join(forged, 'vllm'));
    writeFileSync(join(forged, 'vllm', 'm.jsonl'), text.replace('"free":61', '"free":60'));
    const other = await kvcast(['conformance', forged]);
    expect(other.code).toBe(3);
    expect(other.stdout).toMatch(/^vllm m: equal 26 of 27 · first: \S+ step \d+ free: got 61, expected 60$/m);
    const json = await kvcast(['conformance', forged, '--json']);
    expect(json.code).toBe(3);
    expect(JSON.parse(json.stdout).families[0]).toMatchObject({ suite: 'vllm', family: 'm', cases: 27, equal: 26, different: 1 });
  });

  it('tells mistakes apart', async () => {
    const wrong = await kvcast(['conformance', 'vlm']);
    expect([wrong.code, wrong.stdout]).toEqual([2, '']);
    expect(wrong.stderr).toContain('Did you mean "vllm"?');
    const empty = await kvcast(['conformance', 'vllm', emptyFolder()]);
    expect([empty.code, empty.stdout]).toEqual([2, '']);
    expect(empty.stderr).toContain('error E_FILE');
    const cut = emptyFolder();
    writeFileSync(join(cut, 'm.jsonl'), '{"id":\n');
    const broken = await kvcast(['conformance', cut]);
    expect(broken.code).toBe(2);
    expect(broken.stderr).toMatch(/error E_RECORDING \S+m\.jsonl:1:\d+: got .*expected one JSON object per line/);
  });
});
