#!/usr/bin/env node
/**
 * The front door. Commands that simulate start from code that V8 compiled before (commands/compiled-code.ts); the others load the few
 * modules they need.
 */
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { CompiledCode } from './commands/compiled-code.ts';

const SIMULATING = ['demo', 'run', 'compare', 'sweep', 'gate'];

/** The bundle of the whole program, or null where it is not wanted or not there (sources, coverage by module). */
const code =
  SIMULATING.includes(process.argv[2] ?? '') && process.env['NODE_V8_COVERAGE'] === undefined
    ? CompiledCode.load(fileURLToPath(new URL('./program.cjs', import.meta.url)), import.meta.url)
    : null;
if (code === null) {
  // Node 22.1 and later keep what they compiled (in the system's temporary folder, NODE_COMPILE_CACHE says where else): commands start faster.
  (module as { readonly enableCompileCache?: () => void }).enableCompileCache?.();
  await (await import('./commands/program.ts')).main();
} else {
  const { main } = code.run() as typeof import('./commands/program.ts');
  await main();
  if (!process.exitCode && !process.argv.includes('--help')) code.keep();
}
