/** Everything that help and the README tell people to type can be typed. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { WEKA_TRANSCRIPT } from '../traces/worked-examples.ts';
import { VERSION } from '../version.ts';
import { CLI, emptyFolder, kvcast, type Outcome, ROOT } from './command-line.fixture.ts';
import { EXAMPLES } from './examples.ts';

const SAMPLE = join(ROOT, 'traces/samples/weka_dev.jsonl.gz');
const SIMULATES = /^kvcast (demo|run|compare|sweep|bound)\b/;

function short(text: string): void {
  for (const line of text.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
}

/** Runs a line as a shell would in a folder that looks like the project's; simulations are cut to one small replication. */
function typed(line: string): Promise<Outcome> {
  const cwd = emptyFolder();
  for (const name of ['traces', 'scenarios', 'bench']) symlinkSync(join(ROOT, name), join(cwd, name));
  const [command, ...filters] = line.split(' | ');
  const cut = SIMULATES.test(line) ? `${command} --reps 1 --set workload.sessions=3 --out out` : command!;
  // What is explained has to be there.
  const result = /^kvcast explain (\S+)/.exec(line)?.[1];
  const before =
    result === undefined ? '' : `kvcast compare quickstart --reps 1 --set workload.sessions=3 --out ${result} -q > /dev/null\n`;
  const script = `kvcast() { node '${CLI}' "$@"; }\n${before}${[cut, ...filters.filter(() => hasJq)].join(' | ')}`;
  return new Promise((resolve) => {
    execFile('bash', ['-o', 'pipefail', '-c', script], { cwd, env: { ...process.env, NO_COLOR: '1' } }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code as unknown as number), stdout, stderr }),
    );
  });
}

const hasJq = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, 'jq')));

/** Command lines of the README's code blocks, without the remarks behind two blanks. */
function readmeCommands(): string[] {
  const blocks = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```(?:sh|bash|console)?\n([\s\S]*?)^```/gm)].map(
    (m) => m[1]!,
  );
  return blocks
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/\s{2,}\S.*$/, '').trim())
    .filter((line) => line !== '');
}

describe('help', () => {
  it('without a command: what there is, exit 0', async () => {
    const { code, stdout, stderr } = await kvcast([]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^kvcast \d+\.\d+\.\d+: what happens if/);
    short(stdout);
  });
  it('--help names every command and option, --version the version', async () => {
    const { code, stdout } = await kvcast(['--help']);
    expect(code).toBe(0);
    for (const word of [
      'demo',
      'run',
      'compare',
      'sweep',
      'bound',
      'explain',
      'check',
      'presets',
      'schema',
      'doctor',
      'trace inspect',
      'convert',
      'synthesize',
      '--set',
      '130',
    ])
      expect(stdout).toContain(word);
    short(stdout);
    expect((await kvcast(['help'])).stdout).toBe(stdout);
    expect(await kvcast(['--version'])).toMatchObject({ code: 0, stdout: `${VERSION}\n` });
  });
  it('help COMMAND and COMMAND --help are the same text with its examples', async () => {
    for (const command of ['compare', 'sweep']) {
      const { code, stdout } = await kvcast(['help', command]);
      expect(code).toBe(0);
      for (const example of EXAMPLES[command]!) expect(stdout).toContain(`\n  ${example}\n`);
      expect((await kvcast([command, '--help'])).stdout).toBe(stdout);
      short(stdout);
    }
  });
  it('explains a code, the verdicts, the exit codes and every metric', async () => {
    expect((await kvcast(['help', 'E_RANGE'])).stdout).toMatch(
      /^E_RANGE {2}a number is outside the range its field allows\.\nCause .*\nRemedy /,
    );
    expect((await kvcast(['help', 'verdicts'])).stdout).toMatch(/within noise[\s\S]*improved[\s\S]*regressed[\s\S]*inconclusive/);
    expect((await kvcast(['help', 'exit-codes'])).stdout).toMatch(/ 130 {2}interrupted/);
    const metrics = await kvcast(['help', 'metrics']);
    expect(metrics.stdout).toMatch(/^session\.activeTime +s +/m);
    short(metrics.stdout);
  });
  it('an unknown topic is an error', async () => {
    const { code, stdout, stderr } = await kvcast(['help', 'E_RANG']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error E_USAGE .*Did you mean "E_RANGE"\?/);
  });
});

describe('what to type', () => {
  const readme = readmeCommands();
  const lines = [
    ...new Set([...Object.values(EXAMPLES).flat(), ...readme.filter((l) => l.startsWith('npx kvcast')).map((l) => l.replace('npx ', ''))]),
  ];

  it.each(lines)('%s', async (line) => {
    const { code, stdout, stderr } = await typed(line);
    // The one example that is to fail: a policy edit that makes it worse.
    expect(code, stderr).toBe(line.endsWith('router.with.c=0.75') ? 11 : 0);
    expect(stdout.length + stderr.length).toBeGreaterThan(0);
    if (!/--json|--resolved|check/.test(line)) short(stdout);
  });

  it('the README holds no other commands than those and the two of npm', () => {
    expect(readme.length).toBeGreaterThan(5);
    const scripts = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts;
    expect(scripts.start, 'npm start is the demo, which runs above').toBe('node dist/cli.js demo');
    for (const line of readme) expect(line).toMatch(/^(npm ci|npm start|npm run \w+|npm test|npx kvcast .+)$/);
  });
});

describe('knowledge', () => {
  it('check says what a scenario amounts to', async () => {
    const { code, stdout } = await kvcast(['check', 'quickstart', 'agents-8']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^quickstart +✓ 4 arms, \d+ explicit leaves, KV [\d,]+ \+ [\d,]+ host tokens per worker\nagents-8 +✓ 1 arm, /);
  });
  it('schema explains a field', async () => {
    expect((await kvcast(['schema', '--field', 'fleet.pools.workers'])).stdout).toMatch(
      /^fleet\.pools\[\]\.workers: an integer 1\.\.1024\n/,
    );
  });
  it('presets fit into 100 columns, lists and facts', async () => {
    for (const kind of [[], ['router'], ['retention'], ['gpu/h100-sxm']]) {
      const { code, stdout } = await kvcast(['presets', ...kind]);
      expect(code).toBe(0);
      short(stdout);
    }
    expect((await kvcast(['presets', 'retention'])).stdout).toMatch(/^lru@1 [^@]*the engine's own order/m);
  });
  it('doctor looks around and ends well', async () => {
    const { code, stdout } = await kvcast(['doctor']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/✓ node .*\n[\s\S]*determinism self-check/);
  });
});

describe('traces', () => {
  it('inspect prints the figures of the bundled sample', async () => {
    const { code, stdout } = await kvcast(['trace', 'inspect', SAMPLE]);
    expect(code).toBe(0);
    expect(stdout).toBe(WEKA_TRANSCRIPT);
  });
  it('convert writes a file that can be read again, and standard output the same', async () => {
    const cwd = emptyFolder();
    const to = ['--to', 'kvcast', '-o'];
    const file = await kvcast(['trace', 'convert', SAMPLE, ...to, 'own.jsonl.gz'], { cwd });
    expect(file.code, file.stderr).toBe(0);
    expect(file.stderr).toMatch(/^wrote own\.jsonl\.gz · 120 sessions · 9,517 requests$/m);
    const piped = await kvcast(['trace', 'convert', SAMPLE, ...to, '-'], { cwd });
    expect(piped.code).toBe(0);
    expect(piped.stdout).toBe(gunzipSync(readFileSync(join(cwd, 'own.jsonl.gz'))).toString());
    expect(piped.stderr).toMatch(/^wrote stdout · 120 sessions/m);
    expect(existsSync(join(cwd, '-'))).toBe(false);
    const again = await kvcast(['trace', 'inspect', 'own.jsonl.gz'], { cwd });
    expect(again.stdout).toMatch(/120 sessions, 9,247 root requests, 1\.13 G input tokens, 96\.46 %/);
  });
  it('convert --strict writes nothing and exits 3 where something is lost', async () => {
    const cwd = emptyFolder();
    const { code, stdout, stderr } = await kvcast(['trace', 'convert', SAMPLE, '--to', 'agentic-mooncake', '-o', 'a.jsonl', '--strict'], {
      cwd,
    });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^error E_TRACE_LOSS a\.jsonl: nothing written, \d+ kinds of loss/m);
    expect(stdout).toMatch(/^loss +count +of +effect/);
    expect(existsSync(join(cwd, 'a.jsonl'))).toBe(false);
  });
});

describe('sweep', () => {
  it('prints one row per point and arm', async () => {
    const { code, stdout } = await kvcast([
      'sweep',
      'quickstart',
      '--sweep',
      'kvcast-soft.ttl=1m,5m',
      '--reps',
      '2',
      '--set',
      'workload.sessions=8',
    ]);
    expect(code).toBe(0);
    for (const arm of ['round-robin+lru', 'round-robin+kvcast-soft', 'dynamo-kv+lru', 'dynamo-kv+kvcast-soft'])
      for (const ttl of ['1m', '5m']) expect(stdout).toMatch(new RegExp(`^ +${ttl} {2}${arm.replaceAll('+', '\\+')} `, 'm'));
    short(stdout);
  });
});
