/**
 * Format and lint of every tracked source file with Biome's WebAssembly build (no platform binary to install). Lists what differs and
 * exits 1; --write rewrites the files.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { Biome } from '@biomejs/js-api/nodejs';

const write = process.argv.includes('--write');
const { formatter, javascript, linter } = JSON.parse(readFileSync('biome.json', 'utf8'));
const biome = new Biome();
const { projectKey } = biome.openProject(process.cwd());
biome.applyConfiguration(projectKey, { formatter, javascript, linter });

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts', '*.mjs'])
  .toString()
  .trim()
  .split('\n')
  .filter((file) => !file.endsWith('.gen.ts'));
let found = 0;
for (const filePath of files) {
  let content = readFileSync(filePath, 'utf8');
  const formatted = biome.formatContent(projectKey, content, { filePath }).content;
  if (formatted !== content) {
    if (write) writeFileSync(filePath, formatted);
    else {
      found++;
      console.error(`${filePath}: not formatted (npm run format)`);
    }
    content = formatted;
  }
  for (const diagnostic of biome.lintContent(projectKey, content, { filePath }).diagnostics) {
    const [start] = diagnostic.location?.span ?? [0];
    const line = Buffer.from(content).subarray(0, start).toString().split('\n').length;
    const text = diagnostic.message.map((part) => part.content).join('');
    console.error(`${filePath}:${line} ${diagnostic.category}: ${text}`);
    found++;
  }
}
console.error(`${files.length} files, ${found} findings`);
process.exit(found > 0 ? 1 : 0);
