import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { UserError } from '../../control/user-error.ts';
import { familyLine, replayFamily } from './conformance.ts';
import { readRecording, recordingFile } from './recording-file.ts';
import { firstDifference } from './suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a family', () => {
  const cases = [
    { id: 'one', fields: 3 },
    { id: 'two', fields: 3, difference: { field: 'op 2 score', got: 3, expected: 4 }, rule: 'held' },
    { id: 'three', fields: 2, difference: { field: 'op 1 cost', got: 1.5, expected: [2] } },
    { id: 'four', fields: 2, difference: { field: 'op 9', got: undefined, expected: Number.NaN } },
  ];
  const report = replayFamily('suite', { name: 'family', replay: () => cases });

  it('counts equal, explained and different cases apart', () => {
    expect(report).toEqual({
      suite: 'suite',
      family: 'family',
      cases: 4,
      equal: 1,
      fields: 10,
      explained: { held: 1 },
      different: 2,
      firstDifference: cases[2],
    });
  });
  it('is one line with the first difference', () => {
    expect(familyLine(report)).toBe('suite family: equal 1 of 4 · 1 by rule · first: three op 1 cost: got 1.5, expected [2]');
    expect(familyLine(replayFamily('s', { name: 'f', replay: () => cases.slice(0, 1) }))).toBe('s f: equal 1 of 1');
  });
});

describe('firstDifference', () => {
  it('walks lists and compares leaves exactly', () => {
    expect(firstDifference('x', [1, [2, Number.NaN]], [1, [2, Number.NaN]])).toBeUndefined();
    expect(firstDifference('x', [1, [2, 3]], [1, [2, 4]])).toEqual({ field: 'x[1][1]', got: 3, expected: 4 });
    expect(firstDifference('x', [1], [1, 2])).toEqual({ field: 'x[1]', got: undefined, expected: 2 });
    expect(firstDifference('x', 0, -0)).toEqual({ field: 'x', got: 0, expected: -0 });
    expect(firstDifference('x', null, undefined)).toEqual({ field: 'x', got: null, expected: undefined });
  });
});

describe('recordings', () => {
  const problem = (name: string) => {
    try {
      return [...readRecording(recordingFile(folder, name)!)];
    } catch (error) {
      return (error as UserError).problems[0];
    }
  };
  it('are read plain and compressed, blank lines apart', () => {
    writeFileSync(join(folder, 'plain.jsonl'), '{"a":1}\n\n{"a":2}\n');
    writeFileSync(join(folder, 'packed.jsonl.gz'), gzipSync('{"a":1}\n{"a":2}'));
    expect(problem('plain')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(problem('packed')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(recordingFile(folder, 'absent')).toBeUndefined();
  });
  it('that are broken name the place', () => {
    writeFileSync(join(folder, 'cut.jsonl'), '{"a":1}\n{"a":2,\n');
    writeFileSync(join(folder, 'raw.jsonl.gz'), '{"a":1}');
    expect(problem('cut')).toMatchObject({ code: 'E_RECORDING', line: 2 });
    expect(problem('raw')).toMatchObject({ code: 'E_RECORDING' });
  });
});
