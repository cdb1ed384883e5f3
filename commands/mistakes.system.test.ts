/** Mistakes of the user: exit 2, code, place, got, expected, hint on stderr; nothing on stdout; nothing half-written. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { emptyFolder, kvcast, ROOT } from './command-line.fixture.ts';

const SAMPLE = join(ROOT, 'traces/samples/weka_dev.jsonl.gz');
const GOOD = readFileSync(join(ROOT, 'scenarios/quickstart.yaml'), 'utf8');

/** Runs `run a.yaml` on a changed quickstart and returns the first error line. */
async function mistake(change: (text: string, folder: string) => string): Promise<string> {
  const cwd = emptyFolder();
  writeFileSync(join(cwd, 'a.yaml'), change(GOOD, cwd));
  const { code, stdout, stderr } = await kvcast(['run', 'a.yaml', '--reps', '1', '--jobs', '1', '--out', 'out'], { cwd });
  expect(stdout).toBe('');
  expect(code, stderr).toBe(2);
  expect(leftovers(cwd), 'half-written files').toEqual([]);
  expect(stderr).not.toMatch(/^\s+at /m);
  return stderr.split('\n').find((line) => line.startsWith('error ')) ?? stderr;
}

/** Result files and temporary files below a folder. */
function leftovers(folder: string): string[] {
  if (!existsSync(join(folder, 'out'))) return [];
  return (readdirSync(join(folder, 'out'), { recursive: true }) as string[]).filter((f) => /result\.json|tmp|rep-/.test(f));
}

describe('scenario files', () => {
  it('an unknown key', async () => {
    expect(await mistake((t) => t.replace('workers: ', 'worker: '))).toMatch(
      /^error E_UNKNOWN_KEY a\.yaml:\d+:\d+ fleet\.pools\[0\]\.worker: unknown key\. Did you mean "workers"\?$/,
    );
  });
  it('a size without a proper unit', async () => {
    const line = await mistake((t) => t.replace(/host: { size: [^,]+/, 'host: { size: 80G'));
    expect(line).toMatch(
      /^error E_SIZE_UNIT a\.yaml:\d+:\d+ fleet\.pools\[0\]\.tiers\.host\.size: got 80G, expected a size\. Write 80GB \(80,000,000,000 B\) or 80GiB/,
    );
  });
  it('a duration without a unit', async () => {
    expect(await mistake((t) => t.replace('indexAge: 50ms', 'indexAge: 50'))).toMatch(
      /^error E_UNIT_MISSING a\.yaml:\d+:\d+ control\.signals\.indexAge: got 50, expected a duration\. Write 50s/,
    );
  });
  it('a preset without its version', async () => {
    expect(await mistake((t) => t.replace('gpu: h100-sxm@1', 'gpu: h100-sxm'))).toMatch(
      /^error E_PRESET_VERSION a\.yaml:\d+:\d+ fleet\.pools\[0\]\.gpu: .*h100-sxm@1/,
    );
  });
  it('a model that does not fit into the memory of its GPUs', async () => {
    const line = await mistake((t) =>
      t
        .replace('tensorParallel: 8', 'tensorParallel: 2')
        .replace('expertParallel: 8', 'expertParallel: 1')
        .replace(/\n {6}tiers/, '\n      timer: {use: fixed@1, with: {stepMs: 10}}\n      tiers'),
    );
    expect(line).toMatch(
      /^error E_MODEL_TOO_LARGE a\.yaml:\d+:\d+ fleet\.pools\.main.*: model does not fit: weights 117\.5 GB \+ overhead 3\.5 GB = 121\.0 GB > 78\.1 GB per GPU.*Minimum GPUs per worker: 4/,
    );
  });
  it('a layout without a timing cell', async () => {
    expect(await mistake((t) => t.replace('expertParallel: 8', 'expertParallel: 4'))).toMatch(
      /^error E_CELL_MISSING a\.yaml:\d+:\d+ fleet\.pools\.main: no timing cell for .*Nearest: /,
    );
  });
  it('KV for less than one request', async () => {
    expect(await mistake((t) => t.replace(/blockSize: 16\b/, 'blockSize: 16, kvBlocks: 1000'))).toMatch(
      /^error E_KV_TOO_SMALL a\.yaml:\d+:\d+ fleet\.pools\.main: got KV capacity 16,000 tokens, expected >= /,
    );
  });
});

describe('traces', () => {
  it('a gzip file that ends in the middle', async () => {
    const line = await mistake((t, folder) => {
      writeFileSync(join(folder, 't.jsonl.gz'), readFileSync(SAMPLE).subarray(0, 100_000));
      return t.replace('use: weka-dev@1', 'use: t.jsonl.gz');
    });
    expect(line).toMatch(/^error E_TRACE_GZIP t\.jsonl\.gz.*: .*session/);
  });
  it('a prompt whose block ids do not cover it', async () => {
    const line = await mistake((t, folder) => {
      const first = gunzipSync(readFileSync(SAMPLE)).toString().split('\n')[0]!;
      writeFileSync(join(folder, 't.jsonl.gz'), gzipSync(first.replace('[[1,1112]]', '[[1,1100]]')));
      return t.replace('use: weka-dev@1', 'use: t.jsonl.gz');
    });
    expect(line).toMatch(
      /^error E_TRACE_BLOCK_COUNT t\.jsonl\.gz:1(:\d+)? requests\[0\]\.hash_ids: got 1100 blocks, expected 1112 \(in 71175, block 64\)/,
    );
  });
  it('only sessions above the context limit', async () => {
    const line = await mistake((t) =>
      t.replace(/contextLimit: \S+/, 'contextLimit: 2k').replace('overlong: truncate', 'overlong: exclude'),
    );
    expect(line).toMatch(/^error E_CONTEXT_EXCEEDED a\.yaml:\d+:\d+ fleet\.contextLimit: got 120 of 120 sessions .*\. .*contextLimit/);
  });
  it('a file that is not there', async () => {
    expect(await mistake((t) => t.replace('use: weka-dev@1', 'use: nowhere.jsonl'))).toMatch(
      /^error E_FILE a\.yaml:\d+:\d+ workload\.trace\.use: /,
    );
  });
});

describe('command line', () => {
  it('an unknown option, with the nearest one', async () => {
    const { code, stderr, stdout } = await kvcast(['run', 'quickstart', '--sweeps', 'x']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/error E_USAGE unknown option --sweeps\. Did you mean "--sweep"\?/);
  });
  it('an unknown command', async () => {
    const { code, stderr } = await kvcast(['comapre', 'quickstart']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/E_USAGE unknown command comapre\. Did you mean "compare"\?/);
  });
  it('an output folder that belongs to somebody else', async () => {
    const cwd = emptyFolder();
    mkdirSync(join(cwd, 'out'));
    writeFileSync(join(cwd, 'out/thesis.tex'), 'x');
    const { code, stderr } = await kvcast(['run', 'quickstart', '--reps', '1', '--out', 'out'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error E_OUTPUT out: the directory holds files that kvcast did not write/m);
    expect(readFileSync(join(cwd, 'out/thesis.tex'), 'utf8')).toBe('x');
  });
  it('an output path that is a file', async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, 'out'), 'x');
    const { code, stderr } = await kvcast(['run', 'quickstart', '--reps', '1', '--out', 'out'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error E_OUTPUT out: cannot write/m);
  });
});
