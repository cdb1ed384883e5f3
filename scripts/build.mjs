/**
 * Bundles the command, the library entry, the simulation thread and the benchmark into dist/; with --types also the declarations of
 * the library entry. Run by `npm ci` through `prepare`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const entries = { cli: 'cli.ts', index: 'index.ts', 'run-thread': 'sim/experiment/run-thread.ts', bench: 'bench/bench.ts' };
const present = Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file)));
for (const file of existsSync('dist') ? readdirSync('dist') : []) if (/\.js(\.map)?$/.test(file)) rmSync(`dist/${file}`);
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
if (process.argv.includes('--types'))
  execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], { stdio: 'inherit' });
