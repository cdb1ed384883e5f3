/**
 * Bundles the command, the library entry, the simulation thread and the benchmark into dist/; with --types also the declarations of
 * the library entry. Run by `npm ci` through `prepare`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const entries = { cli: 'cli.ts', index: 'index.ts', 'run-thread': 'sim/experiment/run-thread.ts', bench: 'bench/bench.ts' };
const present = Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file)));
for (const file of existsSync('dist') ? readdirSync('dist') : []) if (/\.c?js(\.map)?$/.test(file)) rmSync(`dist/${file}`);
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
// The whole program once more as one script, which V8 can keep compiled (commands/compiled-code.ts).
await build({
  entryPoints: { program: 'commands/program.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['piscina'],
  define: { 'import.meta.url': 'bundleUrl' },
  banner: { js: '(function (require, module, exports, bundleUrl) {' },
  footer: { js: '})' },
  legalComments: 'none',
  logLevel: 'warning',
});
if (process.argv.includes('--types'))
  execFileSync('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], { stdio: 'inherit' });
