/**
 * The result store of one command: a directory with result.json, the resolved scenario, one file per finished replication, a journal
 * and run-info.json (the only place for wall times). Files are written to a temporary name, flushed and renamed, so that a reader
 * never sees half of one. Source: experiments specification 9.4.
 */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { UserError } from '../../control/user-error.ts';
import type { JobResult } from './job-result.ts';

const MARKER = 'run-info.json';
/** Level 3 takes under half the time of the default level 6 and makes recorded tables 6 % larger. */
const TABLE_GZIP = { level: 3 } as const;

/** Writes into one directory. */
export class ResultStore {
  readonly folder: string;

  /**
   * Opens (makes) the directory. Throws UserError E_OUTPUT when it cannot be written or holds files of other origin without `force`.
   */
  constructor(folder: string, force: boolean) {
    this.folder = folder;
    try {
      mkdirSync(folder, { recursive: true });
      const probe = join(folder, `.probe-${process.pid}`);
      writeFileSync(probe, '');
      rmSync(probe);
    } catch (error) {
      throw new UserError({
        severity: 'error',
        code: 'E_OUTPUT',
        file: folder,
        message: `cannot write (${reason(error)})`,
        hint: 'Pass --out DIR',
      });
    }
    const entries = readdirSync(folder);
    if (entries.length > 0 && !existsSync(join(folder, MARKER)) && !force) {
      throw new UserError({
        severity: 'error',
        code: 'E_OUTPUT',
        file: folder,
        message: 'the directory holds files that kvcast did not write',
        hint: 'Choose another --out, or add --force',
      });
    }
    if (existsSync(join(folder, 'points'))) rmSync(join(folder, 'points'), { recursive: true });
    rmSync(join(folder, 'journal.jsonl'), { force: true });
    rmSync(join(folder, 'result.json'), { force: true });
    this.write(MARKER, '{}\n');
  }

  /** Writes a file under the directory atomically. Throws UserError E_OUTPUT. */
  write(name: string, content: string | Uint8Array): void {
    const path = join(this.folder, name);
    const temporary = `${path}.tmp-${process.pid}`;
    try {
      mkdirSync(join(path, '..'), { recursive: true });
      const handle = openSync(temporary, 'w');
      try {
        writeFileSync(handle, content);
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
      renameSync(temporary, path);
    } catch (error) {
      if (existsSync(temporary)) rmSync(temporary);
      throw new UserError(
        { severity: 'error', code: 'E_OUTPUT', file: path, message: `cannot write (${reason(error)})`, hint: 'Pass --out DIR' },
        1,
      );
    }
  }

  /** Stores one finished replication and notes it in the journal. */
  addJob(pointId: string, armName: string, result: JobResult): void {
    const base = `points/${pointId}/${armName}/rep-${String(result.replication).padStart(4, '0')}`;
    const { sessionsCsv, requestsCsv, decisionsLog, facts, ...rest } = result;
    const { wallMs: _, ...semantic } = facts;
    const json = `${JSON.stringify({ ...rest, facts: semantic })}\n`;
    this.write(`${base}.json`, json);
    if (sessionsCsv !== undefined) this.write(`${base}.sessions.csv.gz`, gzipSync(sessionsCsv, TABLE_GZIP));
    if (requestsCsv !== undefined) this.write(`${base}.requests.csv.gz`, gzipSync(requestsCsv, TABLE_GZIP));
    if (decisionsLog !== undefined) this.write(`${base}.decisions.jsonl.gz`, gzipSync(decisionsLog, TABLE_GZIP));
    const line = { runKey: sha256(`${pointId}/${armName}/${result.replication}`), file: `${base}.json`, sha256: sha256(json) };
    appendFileSync(join(this.folder, 'journal.jsonl'), `${JSON.stringify(line)}\n`);
  }
}

/** Hex sha256 of a text. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Reads a stored result. Throws UserError E_FILE. */
export function readStoredResult(path: string): unknown {
  const file = path.endsWith('.json') ? path : join(path, 'result.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError({
      severity: 'error',
      code: 'E_FILE',
      file,
      message: `cannot read a result (${reason(error)})`,
      hint: 'Pass a directory or file written by kvcast run or compare',
    });
  }
}

function reason(error: unknown): string {
  const code = (error as { code?: string }).code;
  const words: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EROFS: 'read-only file system',
    ENOSPC: 'no space left',
    ENOENT: 'no such file',
    ENOTDIR: 'not a directory',
    EEXIST: 'a file is in the way',
  };
  return code === undefined ? String((error as Error).message) : (words[code] ?? code);
}
