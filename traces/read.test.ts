import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { bundledTracePath } from './bundled.ts';
import type { Trace } from './columns.ts';
import { readTrace } from './read.ts';
import { EXAMPLE_1_3, readText, sessionE1, sessionE2 } from './worked-examples.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvcast-read-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Everything but names and digests. */
function content(trace: Trace): unknown {
  return { ...trace, header: { ...trace.header, source: { format: trace.header.source.format } }, input: null };
}

const lines = [sessionE1('a'), sessionE2('b'), sessionE1('c')].map((s) => JSON.stringify(s));
const text = lines.join('\n');

describe('one trace', () => {
  it('is the same plain, compressed, in several members, with BOM, CRLF, blank lines, and in any order', async () => {
    const plain = content(await readText(text));
    const members = Buffer.concat(lines.map((line) => gzipSync(`${line}\n`)));
    const variants: (string | Uint8Array)[] = [
      `${text}\n`,
      gzipSync(text),
      members,
      `\uFEFF${text}`,
      lines.join('\r\n'),
      `\n\n  ${lines.join('\n\n')}\n\n`,
      [...lines].reverse().join('\n'),
    ];
    for (const variant of variants) expect(content(await readText(variant))).toEqual(plain);
  });
  it('is the same as a directory of files, also pretty-printed ones, whatever their names', async () => {
    const root = join(folder, 'dir');
    mkdirSync(join(root, 'deep'), { recursive: true });
    writeFileSync(join(root, 'z.json'), lines[0]!);
    writeFileSync(join(root, 'deep', 'm.json'), JSON.stringify(JSON.parse(lines[1]!), null, 2));
    writeFileSync(join(root, 'a.json.gz'), gzipSync(`${lines[2]}\n`));
    writeFileSync(join(root, 'README.md'), 'not a trace');
    const trace = await readTrace(root);
    expect(content({ ...trace, notices: [] })).toEqual(content(await readText(text)));
    expect(trace.notices).toMatchObject([{ code: 'W_TRACE_IGNORED_FILE', count: 1 }]);
    symlinkSync(join(root, 'z.json'), join(root, 'link.json'));
    await expect(readTrace(root)).rejects.toThrow('E_TRACE_SYMLINK dir link.json: got a symbolic link');
  });
  it('is the same from standard input', async () => {
    writeFileSync(
      join(folder, 'stdin.mts'),
      `import { readTrace } from ${JSON.stringify(fileURLToPath(new URL('./read.ts', import.meta.url)))};\nconst t = await readTrace('-');\nconsole.log(JSON.stringify([t.sessionCount, t.requestCount, [...t.request.pauseMs], t.input?.digest]));\n`,
    );
    const tsx = fileURLToPath(new URL('../node_modules/.bin/tsx', import.meta.url));
    const child = promisify(execFile)(tsx, [join(folder, 'stdin.mts')]);
    child.child.stdin!.end(gzipSync(text));
    const { stdout } = await child;
    const trace = await readText(gzipSync(text));
    expect(JSON.parse(stdout)).toEqual([3, 18, JSON.parse(JSON.stringify([...trace.request.pauseMs])), trace.input?.digest]);
  });
  it('has the digest of its bytes, a directory that of its files', async () => {
    const { createHash } = await import('node:crypto');
    const sha = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
    expect((await readText(text)).header.source.digest).toBe(`sha256:${sha(text)}`);
    const root = join(folder, 'two');
    mkdirSync(root);
    writeFileSync(join(root, 'b.json'), lines[0]!);
    writeFileSync(join(root, 'a.json'), lines[1]!);
    const listing = [
      ['a.json', lines[1]!],
      ['b.json', lines[0]!],
    ].map(([name, data]) => `${name}\0${Buffer.byteLength(data!)}\0${sha(data!)}\n`);
    expect((await readTrace(root)).header.source.digest).toBe(`sha256:${sha(listing.join(''))}`);
  });
});

describe('detection', () => {
  const row = { input_length: 5, output_length: 1, hash_ids: [0] };
  const cases: [string, unknown, RegExp][] = [
    [
      'two kinds of Mooncake',
      { ...row, timestamp: 0, request_id: 'x' },
      /E_TRACE_FORMAT x\.jsonl:1: cannot tell mooncake from agentic-mooncake v1 \(request_id present, no wait_for\)\. Pass --format\./,
    ],
    ['WEKA and AgentX', { id: 's', requests: [{ t: 0, in: 64, out: 1, hash_ids: [1] }] }, /cannot tell weka-raw from agentx/],
    ['a format of a later version', { ...row, timestamp: 0, request_id: 'x', wait_for: [] }, /got agentic-mooncake v1, expected one of/],
    ['nothing known', { hello: 1 }, /E_TRACE_FORMAT x\.jsonl:1: got an unknown layout/],
    ['a number', 5, /got an unknown layout/],
  ];
  for (const [name, first, pattern] of cases)
    it(`refuses ${name}`, async () => {
      await expect(readText(JSON.stringify(first), {}, 'x.jsonl')).rejects.toThrow(pattern);
    });
  it('goes by content, never by name, unless a format is named', async () => {
    expect((await readText(EXAMPLE_1_3, {}, 'mooncake.csv')).input?.format).toBe('kvcast');
    const ambiguous = JSON.stringify({ ...row, timestamp: 0, request_id: 'x' });
    expect((await readText(ambiguous, { format: 'mooncake' })).sessionCount).toBe(1);
    await expect(readText(text, { format: 'wekka' })).rejects.toThrow('E_TRACE_FORMAT t.jsonl: got format wekka, expected kvcast');
  });
  it('tells an empty file and a missing one', async () => {
    await expect(readText('', {}, 'x.jsonl')).rejects.toThrow('E_TRACE_FORMAT x.jsonl: got no sessions');
    await expect(readTrace(join(folder, 'nowhere.jsonl'))).rejects.toThrow('E_TRACE_FILE nowhere.jsonl: no such file or directory');
  });
});

describe('damage', () => {
  it('in the last line names the last complete session', async () => {
    const cut = text.slice(0, -30);
    const column = cut.length - cut.lastIndexOf('\n');
    await expect(readText(cut, {}, 't.jsonl')).rejects.toThrow(
      `E_TRACE_JSON t.jsonl:3:${column}: unexpected end of line. The file looks truncated (last complete session: line 2).`,
    );
  });
  it('inside a line says what was found and expected', async () => {
    await expect(readText(text.replace('"out":50', '"out":50 5'), {}, 't.jsonl')).rejects.toThrow(
      /E_TRACE_JSON t\.jsonl:1:\d+: got "5", expected "," or "}"/,
    );
  });
  it('of a pretty-printed document is found on its line', async () => {
    const pretty = JSON.stringify(JSON.parse(lines[0]!), null, 2).replace('"out": 50', '"out" 50');
    const line = pretty.split('\n').findIndex((l) => l.includes('"out" 50')) + 1;
    await expect(readText(pretty, {}, 'p.json')).rejects.toThrow(`E_TRACE_JSON p.json:${line}:`);
  });
  it('of a truncated gzip stream gives the byte offset and the sessions read so far', async () => {
    const whole = readFileSync(bundledTracePath('weka-dev@1')!);
    const cut = whole.subarray(0, 120_000);
    await expect(readText(cut, {}, 'w.jsonl.gz')).rejects.toThrow(
      /^E_TRACE_GZIP w\.jsonl\.gz: got the end of the file at byte 120000, expected the rest of the gzip stream\. The file looks truncated \(\d\d sessions read so far\)\.$/,
    );
  });
  it('of gzip data is told as such', async () => {
    const bytes = Buffer.from(gzipSync(text));
    bytes[40]! ^= 0xff;
    await expect(readText(bytes, {}, 'w.gz')).rejects.toThrow(/E_TRACE_(GZIP|JSON|FORMAT)/);
  });
});

it('a reader that refuses a file closes it', async () => {
  const open = (): number => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);
  const before = open();
  for (let i = 0; i < 5; i++) await expect(readText('{"hello":1}')).rejects.toThrow('E_TRACE_FORMAT');
  expect(open()).toBeLessThanOrEqual(before);
});

it('bundled traces are found by preset name', async () => {
  expect((await readTrace(bundledTracePath('mooncake-synthetic@1')!)).header.source.licence).toBe('Apache-2.0');
  expect(bundledTracePath('weka-dev')).toBeNull();
});
