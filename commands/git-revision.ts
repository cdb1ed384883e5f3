/** The files of a git revision in a temporary folder. The repository, its index and its working tree stay as they are. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../control/user-error.ts';

/** A checked-out revision. */
export interface Revision {
  /** Holds the tree of the revision. */
  readonly folder: string;
  /** Top folder of the repository that it is a copy of. */
  readonly root: string;
  dispose(): void;
}

/** Writes every file of `ref` into a new folder. Cost: that of a checkout. Throws UserError E_GIT. */
export function checkOut(ref: string): Revision {
  const git = (args: readonly string[], env: Record<string, string> = {}): string => {
    try {
      return execFileSync('git', args, { encoding: 'utf8', env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
    } catch (error) {
      const failed = error as { readonly code?: string; readonly stderr?: string };
      const why = failed.code === 'ENOENT' ? 'git is not installed' : (failed.stderr ?? '').split('\n')[0]!.replace(/^fatal: /, '');
      throw new UserError({
        severity: 'error',
        code: 'E_GIT',
        path: '--against',
        message: `got git:${ref}, which cannot be read (${why})`,
        hint: 'Write git:main, git:HEAD~1 or git:<commit>; a shallow clone must fetch it first',
      });
    }
  };
  const root = realpathSync(git(['rev-parse', '--show-toplevel']));
  const commit = git(['rev-parse', '--verify', '--end-of-options', `${ref}^{commit}`]);
  const temporary = mkdtempSync(join(tmpdir(), 'kvcast-revision-'));
  const dispose = (): void => rmSync(temporary, { recursive: true, force: true });
  try {
    const folder = join(realpathSync(temporary), 'tree');
    const own = { GIT_INDEX_FILE: join(temporary, 'index') };
    git(['-C', root, 'read-tree', commit], own);
    git(['-C', root, 'checkout-index', '--all', `--prefix=${folder}/`], own);
    return { folder, root, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
