/** Writes lines to a temporary file that takes its final name only when complete; gzip where the name ends in `.gz`. */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { UserError } from '../../control/user-error.ts';

const CHUNK_CHARS = 1 << 20;

/** Hands the lines on in chunks, each line with a newline; returns their number. */
function inChunks(lines: Iterable<string>, write: (text: string) => void): number {
  let count = 0;
  let text = '';
  for (const line of lines) {
    text += line;
    text += '\n';
    count++;
    if (text.length <= CHUNK_CHARS) continue;
    write(text);
    text = '';
  }
  if (text !== '') write(text);
  return count;
}

/** Writes to standard output, waiting for a slow reader. Throws the EPIPE of a reader that left. */
function print(text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

/** Writes all lines, each with a newline. Throws E_OUTPUT; then nothing is left behind and an older file of that name is untouched. `-` = standard output. */
export function writeLines(path: string, lines: Iterable<string>): number {
  if (path === '-') return inChunks(lines, print);
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  let file = -1;
  try {
    file = openSync(temporary, 'wx');
    const count = inChunks(lines, (text) => {
      // Each chunk is a gzip member of its own; readers take them one after the other.
      const bytes = path.endsWith('.gz') ? gzipSync(text, { level: 9 }) : Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    });
    fsyncSync(file);
    closeSync(file);
    file = -1;
    renameSync(temporary, path);
    return count;
  } catch (error) {
    if (file >= 0) closeSync(file);
    if (existsSync(temporary)) rmSync(temporary);
    const code = (error as { code?: string }).code;
    if (code === undefined) throw error;
    const message = `cannot write (${SAID[code] ?? code})`;
    throw new UserError({ severity: 'error', code: 'E_OUTPUT', file: path, message, hint: 'Choose another -o.' });
  }
}

const SAID: Readonly<Record<string, string>> = {
  ENOENT: 'no such directory',
  EACCES: 'permission denied',
  EROFS: 'read-only file system',
  ENOSPC: 'no space left',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
};
