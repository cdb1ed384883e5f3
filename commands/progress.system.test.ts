/** The progress line under a pseudo-terminal: rewritten on stderr, cleared at the end, never on stdout. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CLI, emptyFolder, kvcast } from './command-line.fixture.ts';

const QUICK = ['compare', 'quickstart', '--reps', '2', '--set', 'workload.sessions=6', '--jobs', '1', '--out', 'out'];
const ESCAPE = '\u001b';
const ERASE = `\r${ESCAPE}[2K`;
const LIVE = /^\d+ % · run \d+\/8 · [\d,]+k? events\/s · ETA (…|[\d. a-z]+)$/;

/** `script` of util-linux makes a pseudo-terminal; its BSD namesake has no -e. */
function hasPseudoTerminal(): boolean {
  const probe = spawnSync('script', ['-qec', 'test -t 2', '/dev/null'], { stdio: ['ignore', 'ignore', 'ignore'] });
  return probe.error === undefined && probe.status === 0;
}

/** What the pseudo-terminal saw of a command whose stdout goes to a file, and that file. */
function underTerminal(args: readonly string[], env: Record<string, string> = {}): { seen: string; stdout: string } {
  const cwd = emptyFolder();
  const quoted = ['node', CLI, ...args].map((word) => `'${word}'`).join(' ');
  const { CI: _, NO_COLOR: __, ...inherited } = process.env;
  const seen = execFileSync('script', ['-qec', `${quoted} > stdout.txt`, '/dev/null'], {
    cwd,
    env: { ...inherited, TERM: 'xterm', LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  return { seen, stdout: readFileSync(join(cwd, 'stdout.txt'), 'utf8') };
}

describe.skipIf(!hasPseudoTerminal())('progress on a terminal (skipped where util-linux `script` is missing)', () => {
  it('rewrites one line of stderr and leaves stdout as it is in a pipe', async () => {
    const { seen, stdout } = underTerminal(QUICK);
    const pieces = seen.split(ERASE);
    const live = pieces
      .slice(1)
      .map((piece) => piece.split(/\r?\n/)[0]!)
      .filter((text) => / · run /.test(text));
    expect(live.length, seen).toBeGreaterThanOrEqual(2);
    for (const line of live) expect(line).toMatch(LIVE);
    expect(stdout).not.toContain('\r');
    expect(stdout).not.toContain(ESCAPE);
    expect(stdout).toBe((await kvcast(QUICK)).stdout);
    const afterwards = pieces.at(-1)!;
    expect(afterwards, 'the line is gone before the last words').not.toContain(' · run ');
    expect(afterwards).toMatch(/^8 runs in .*· wrote out\/result\.json\r?$/m);
  });

  it('writes no control characters when CI is set, and none with --quiet', () => {
    expect(underTerminal(QUICK, { CI: 'true' }).seen).not.toContain(ERASE);
    const quiet = underTerminal([...QUICK, '--quiet', '--reps', '1']).seen;
    expect(quiet).not.toContain(ERASE);
    expect(quiet).not.toContain(' · run ');
  });
});

describe('progress in a pipe', () => {
  it('is silent in the first ten seconds', async () => {
    const { stderr } = await kvcast(QUICK);
    expect(stderr).not.toContain('\r');
    expect(stderr).not.toContain(ESCAPE);
    expect(stderr).not.toContain(' events/s');
  });
});
