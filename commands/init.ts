/** init: a scenario and a workflow to start from, copied from the package. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../control/user-error.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { TEMPLATES, type TemplateName } from './init-templates.ts';
import { writeWhole } from './reporters.ts';
import { shellWord } from './simulation.ts';
import { type OutputOptions, terminalOf } from './terminal.ts';

/**
 * `kvcast init [DIR] --template NAME`: all files or none. Throws UserError E_INIT_EXISTS for every file that is there already with
 * other content (without --force), E_OUTPUT.
 */
export function init(
  folder: string | undefined,
  options: OutputOptions & { readonly template: TemplateName; readonly force?: boolean },
): void {
  const terminal = terminalOf(options);
  const { files, next } = TEMPLATES[options.template];
  const to = folder ?? '.';
  const root = findPackageRoot();
  const wanted = files.map((file) => ({ file, path: join(to, file), content: readFileSync(join(root, file), 'utf8') }));
  const present = wanted.filter(({ path }) => existsSync(path));
  const inTheWay = present.filter(({ path, content }) => readFileSync(path, 'utf8') !== content);
  if (inTheWay.length > 0 && options.force !== true)
    throw new UserError(
      inTheWay.map(({ path }) => ({
        severity: 'error',
        code: 'E_INIT_EXISTS',
        file: path,
        message: 'got a file with other content, expected none',
        hint: 'Choose another folder, or add --force to overwrite it',
      })),
    );
  for (const { path, content } of wanted.filter((file) => !present.includes(file) || inTheWay.includes(file))) {
    try {
      mkdirSync(dirname(path), { recursive: true });
    } catch {
      throw new UserError({ severity: 'error', code: 'E_OUTPUT', file: dirname(path), message: 'cannot make the folder' });
    }
    writeWhole(path, content);
  }
  if (options.json === true)
    terminal.result(`${JSON.stringify({ template: options.template, files: wanted.map((w) => w.path) }, null, 2)}\n`);
  else terminal.result(wanted.map(({ path }) => `wrote ${path}\n`).join(''));
  terminal.note(`next: ${to === '.' ? '' : `cd ${shellWord(to)} && `}${next}`);
}
