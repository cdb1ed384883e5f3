/** Our sources as one module with a bug put in on purpose, for tests that show that a check can fail. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/** Some dependencies ask for parts of node the old way. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** One text replacement in one source file of the product. */
export interface SourceBug {
  /** What goes wrong, as a statement. */
  readonly breaks: string;
  /** Source file below the package root. */
  readonly file: string;
  /** Text that occurs exactly once in the file, and what stands there instead. */
  readonly from: string;
  readonly to: string;
}

/**
 * Text of the module `entry` (below `root`) and of all that it imports, with a bug or without. Throws if the bug's text is not in its
 * file exactly once, or the file is not part of the bundle; `id` names the bug in messages.
 */
export async function seededBundle(root: string, entry: string, id: string, bug: SourceBug | null): Promise<string> {
  let seeded = 0;
  const result = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    banner: { js: REQUIRE },
    plugins: [
      {
        name: 'seeded-bug',
        setup: ({ onLoad }) => {
          onLoad({ filter: /\.ts$/ }, ({ path }) => {
            if (bug === null || path !== join(root, bug.file)) return undefined;
            const parts = readFileSync(path, 'utf8').split(bug.from);
            if (parts.length !== 2) throw new Error(`${id}: text occurs ${parts.length - 1} times in ${bug.file}, expected once`);
            seeded++;
            return { contents: parts.join(bug.to), loader: 'ts' };
          });
        },
      },
    ],
  });
  if (bug !== null && seeded !== 1) throw new Error(`${id}: ${bug.file} is not part of the replay`);
  return result.outputFiles[0]!.text;
}
