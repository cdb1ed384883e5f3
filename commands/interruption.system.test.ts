/** ^C and TERM leave what is complete, or say that nothing is; a reader that leaves is no failure. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CLI, emptyFolder, finished, kvcast, ROOT, sha256, start } from './command-line.fixture.ts';

const LONG = ['compare', 'quickstart', '--reps', '40', '--jobs', '2', '--set', 'workload.sessions=6', '--out', 'out'];
const ARMS = 4;

/** Names of the files of finished replications. */
function replications(folder: string): string[] {
  const points = join(folder, 'out/points');
  if (!existsSync(points)) return [];
  return (readdirSync(points, { recursive: true }) as string[]).filter((name) => /rep-\d+\.json$/.test(name));
}

/** Resolves when `holds` does; looks every 10 ms. */
async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !holds(); ) {
    if (Date.now() > end) throw new Error('waited a minute');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Starts the long comparison and sends a signal when at least two replications of every arm are stored. */
async function interrupted(signal: 'SIGINT' | 'SIGTERM') {
  const cwd = emptyFolder();
  const child = start(LONG, { cwd });
  const ended = finished(child);
  await until(() => replications(cwd).length >= 3 * ARMS);
  child.kill(signal);
  const sent = Date.now();
  const outcome = await ended;
  return { ...outcome, cwd, waitedMs: Date.now() - sent };
}

describe('a run that is interrupted', () => {
  it('keeps the complete replications, says PARTIAL and exits 130', async () => {
    const { code, stdout, stderr, cwd, waitedMs } = await interrupted('SIGINT');
    expect(code, stderr).toBe(130);
    expect(stdout).toMatch(/^PARTIAL: first \d+ of up to 40 replications per arm; intervals hold for those\.\n/);
    expect(stderr).toMatch(/^interrupted: wrote out \(\d+ of 40 replications\)$/m);
    expect(waitedMs).toBeLessThan(3000);

    const result = JSON.parse(readFileSync(join(cwd, 'out/result.json'), 'utf8'));
    const kept = result.trust.replications;
    expect(kept).toBeGreaterThanOrEqual(2);
    expect(kept).toBeLessThan(40);
    expect(result).toMatchObject({ truncated: true, trust: { stopped: 'interrupted', planned: 40 }, exit: { code: 130 } });
    expect(result.exit.reasons).toEqual([`interrupted: ${kept} of up to 40 replications`]);
    for (const arm of result.arms) expect(arm.runHashes).toHaveLength(kept);
    for (const metric of result.metrics) expect(metric.values).toHaveLength(kept);

    const everything = readdirSync(join(cwd, 'out'), { recursive: true }) as string[];
    expect(everything.filter((name) => /tmp|probe/.test(name))).toEqual([]);
    const journal = readFileSync(join(cwd, 'out/journal.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(journal.length).toBe(replications(cwd).length);
    for (const line of journal) expect(sha256(readFileSync(join(cwd, 'out', line.file)))).toBe(line.sha256);

    const whole = await kvcast([...LONG, '--reps', String(kept)]);
    const hashes = (text: string) => [...text.matchAll(/^session\.activeTime[\s\S]*?^mean ±/gm)].map((m) => m[0]);
    expect(hashes(stdout), 'the same numbers as a run of that many replications').toEqual(hashes(whole.stdout));
  });

  it('exits 143 on TERM', async () => {
    const { code, stdout } = await interrupted('SIGTERM');
    expect(code).toBe(143);
    expect(stdout).toMatch(/^PARTIAL: /);
  });

  it('stops at once on the second ^C', async () => {
    const cwd = emptyFolder();
    const child = start(LONG, { cwd });
    const ended = finished(child);
    await until(() => replications(cwd).length >= ARMS);
    let sent = 0;
    child.stderr!.on('data', (chunk) => {
      if (!String(chunk).includes('press ^C again')) return;
      child.kill('SIGINT');
      sent = Date.now();
    });
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(Date.now() - sent).toBeLessThan(1000);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('says that nothing was complete when it comes too early', async () => {
    const cwd = emptyFolder();
    const child = start(['compare', 'quickstart', '--reps', '40', '--jobs', '1', '--out', 'out'], { cwd });
    child.stderr!.once('data', () => child.kill('SIGINT'));
    const { code, stdout, stderr } = await finished(child);
    expect(code, stderr).toBe(130);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^interrupted: no replication of quickstart was complete in every arm; no result is written$/m);
    expect(stderr).not.toMatch(/internal error|^\s+at /m);
    expect(existsSync(join(cwd, 'out/result.json'))).toBe(false);
  });

  it('keeps the complete points of a sweep', async () => {
    const cwd = emptyFolder();
    const sweep = [
      'sweep',
      'quickstart',
      '--sweep',
      'workers=1..8:1',
      '--reps',
      '1',
      '--set',
      'workload.sessions=6',
      '--jobs',
      '1',
      '-v',
      '--out',
      'out',
    ];
    const child = start(sweep, { cwd });
    child.stderr!.on('data', (chunk) => {
      if (String(chunk).includes('point 2/8')) child.kill('SIGINT');
    });
    const { code, stdout, stderr } = await finished(child);
    expect(code, stderr).toBe(130);
    expect(stdout).toMatch(/^PARTIAL: first [2-7] of 8 points\.\n/);
    const document = JSON.parse(readFileSync(join(cwd, 'out/result.json'), 'utf8'));
    expect(document.exit).toEqual({ code: 130, reasons: [`interrupted: ${document.points.length} of 8 points`] });
  });
});

describe('a reader that leaves', () => {
  it('before the result is printed: quiet, 0, the result is stored', async () => {
    const cwd = emptyFolder();
    const child = start(['run', 'quickstart', '--reps', '1', '--set', 'workload.sessions=6', '--jobs', '1', '--out', 'out'], { cwd });
    child.stdout!.destroy();
    const { code, stderr } = await finished(child);
    expect(stderr).not.toMatch(/EPIPE|^\s+at /m);
    expect(code).toBe(0);
    expect(existsSync(join(cwd, 'out/result.json'))).toBe(true);
  });

  it('in the middle of a converted trace: quiet, 130', async () => {
    const child = start(['trace', 'convert', join(ROOT, 'traces/samples/weka_dev.jsonl.gz'), '--to', 'agentic-mooncake', '-o', '-']);
    child.stdout!.once('data', () => child.stdout!.destroy());
    const { code, stderr } = await finished(child);
    expect(stderr).toBe('');
    expect(code).toBe(130);
  });

  it('is what `| head -1` does', async () => {
    const { execFileSync } = await import('node:child_process');
    const out = execFileSync('sh', ['-c', `node '${CLI}' help metrics 2>&1 | head -1`], { encoding: 'utf8' });
    expect(out).toMatch(/^\S+ .*\n$/);
    expect(out.split('\n')).toHaveLength(2);
  });
});
