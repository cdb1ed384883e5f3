/** `npm run check`: style, types, then unit tests (the architecture test is one of them). Style and types run side by side. */
import { spawn } from 'node:child_process';

const run = (name, args) =>
  new Promise((resolve) => {
    const started = Date.now();
    const child = spawn('node', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.on('close', (code) => {
      console.log(`${code === 0 ? 'ok     ' : 'FAILED '} ${name}  ${((Date.now() - started) / 1000).toFixed(1)} s`);
      if (code !== 0) console.log(output);
      resolve(code === 0);
    });
  });

const first = await Promise.all([run('style', ['scripts/style.mjs']), run('types', ['node_modules/typescript/bin/tsc', '--noEmit'])]);
const tests = await run('unit tests', ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', '--reporter=dot']);
process.exit([...first, tests].every(Boolean) ? 0 : 1);
