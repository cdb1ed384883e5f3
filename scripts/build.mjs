/** Bundles the command, the library entry, the simulation thread and the benchmark into dist/. Run by `npm ci` through `prepare`. */
import { existsSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const entries = { cli: 'cli.ts', index: 'index.ts', 'run-thread': 'sim/experiment/run-thread.ts', bench: 'bench/bench.ts' };
const present = Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file)));
rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: present,
  outdir: 'dist',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['piscina'],
  sourcemap: 'linked',
  legalComments: 'none',
  banner: {
    js: "import { createRequire as kvcastCreateRequire } from 'node:module'; const require = kvcastCreateRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
