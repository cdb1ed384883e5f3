import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

/** A child on a small heap reads a file larger than that heap; the 1 GB case is `traces/read.bench.ts`. */
it('a raw file of 400 MB is read on a heap of 128 MiB with little more than its columns', async () => {
  const folder = mkdtempSync(join(fileURLToPath(new URL('../node_modules/', import.meta.url)), '.kvcast-system-'));
  try {
    const entry = fileURLToPath(new URL('./ingest-figures.ts', import.meta.url));
    const outfile = join(folder, 'measure.mjs');
    const contents = `import { measureIngest } from ${JSON.stringify(entry)};\nconsole.log(JSON.stringify(await measureIngest(400)));\n`;
    await build({ stdin: { contents, resolveDir: folder }, outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' });
    const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=128', outfile], {
      env: { ...process.env, TMPDIR: tmpdir() },
    });
    const figures = JSON.parse(stdout) as { peakMiB: number; requests: number; cacheBytesPerRequest: number };
    expect(figures.peakMiB).toBeLessThan(200 + (64 * figures.requests) / 2 ** 20);
    expect(figures.cacheBytesPerRequest).toBeLessThanOrEqual(64);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
