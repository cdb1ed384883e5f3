/** Reads a trace of any known format: file, directory or standard input, plain or gzip. */
import { createHash } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Problem, UserError } from '../control/user-error.ts';
import { knownSource } from './bundled.ts';
import { byteChunks, GzipDamage } from './byte-source.ts';
import type { Trace } from './columns.ts';
import { detectFormat, namedFormat, type TraceFormat } from './detect-format.ts';
import type { TraceHeader } from './format.ts';
import { LINE_LIMIT_BYTES, LineSplitter } from './line-splitter.ts';
import { ProblemLog } from './problem-log.ts';
import { AgenticMooncakeReader } from './readers/agentic-mooncake-reader.ts';
import { parseLine } from './readers/json-line.ts';
import { KvcastReader } from './readers/kvcast-reader.ts';
import type { LineReader, ReadBody, ReaderContext } from './readers/line-reader.ts';
import { MooncakeReader } from './readers/mooncake-reader.ts';
import { WekaReader } from './readers/weka-reader.ts';

export interface ReadTraceOptions {
  /** Overrides the detection; one of TRACE_FORMATS or an alias. */
  readonly format?: string;
  /** Block size of formats that do not state one (Mooncake: 512). */
  readonly blockTokens?: number;
  /** Bad sessions tolerated and reported; default 0. */
  readonly skipBad?: number;
  /** Agentic Mooncake: what `not_before_ms` of a row with dependencies means; default ignore. */
  readonly notBefore?: 'ignore' | 'respect';
  /** Digest if the caller knows it already; saves hashing while reading. */
  readonly digest?: string;
  /** False = parse everything with JSON.parse (tests). */
  readonly fast?: boolean;
}

/** Share of contradicting runs above which ids do not count as chained. Source: trace specification 1.4 V5. */
const CHAIN_TOLERANCE = 0.001;

/**
 * Reads `source` (path of a file or directory, `-` = standard input) as a trace. Memory stays bounded by the columns and the longest
 * line. Throws UserError (exit 2) with all problems of the input.
 */
export async function readTrace(source: string, options: ReadTraceOptions = {}): Promise<Trace> {
  const file = source === '-' ? 'stdin' : source;
  const log = new ProblemLog(shortName(file), options.skipBad ?? 0);
  const context: ReaderContext = {
    log,
    name: sampleName(file),
    blockTokens: checkedBlockTokens(options.blockTokens),
    notBefore: options.notBefore ?? 'ignore',
    fast: options.fast ?? true,
  };
  const format = options.format === undefined || options.format === 'auto' ? null : namedFormat(options.format, log.file);
  const intake = new Intake(context, format);
  const kind = source === '-' ? 'file' : await kindOf(source, log.file);
  const digest = kind === 'file' ? await readOne(source, intake, options.digest) : await readDirectory(source, intake);
  return finish(intake, digest);
}

function finish(intake: Intake, digest: string): Trace {
  const { log } = intake.context;
  log.line = 0;
  const body: ReadBody | null = intake.reader?.end() ?? null;
  log.settle();
  if (body === null || body.builder.sessionCount === 0)
    throw new UserError({ severity: 'error', code: 'E_TRACE_FORMAT', file: log.file, message: 'got no sessions, expected at least one' });
  const { runs, conflicts } = body.builder.chain;
  if (conflicts > CHAIN_TOLERANCE * runs)
    throw new UserError({
      severity: 'error',
      code: 'E_TRACE_NOT_CHAINED',
      file: log.file,
      message: `got ${conflicts} of ${runs} id runs with another position or predecessor than before, expected prefix-chained ids`,
      hint: 'Ids must name the whole prefix up to their block, not the content of the block alone.',
    });
  if (conflicts > 0) log.notice('W_TRACE_CHAIN', 'id runs with another position or predecessor than before', conflicts);
  const known = knownSource(digest);
  // A file of the own format names its origin; everything else is its own origin.
  const native = 'digest' in body.header.source;
  const source = { ...body.header.source, ...(native ? {} : { ...known, digest }) } as TraceHeader['source'];
  const input = { format: native ? 'kvcast' : source.format, name: intake.context.name, digest };
  return body.builder.finish({ ...body.header, source }, log.notices(), input, body.facts);
}

/** Chooses the reader by the first line and feeds it. */
class Intake {
  readonly context: ReaderContext;
  reader: LineReader | null = null;
  #format: TraceFormat | null;
  /** Bytes of a document that spans lines, while it is being collected. */
  #document: Buffer[] | null = null;
  #documentBytes = 0;
  #documentLine = 0;
  #atStart = true;

  constructor(context: ReaderContext, format: TraceFormat | null) {
    this.context = context;
    this.#format = format;
  }

  /** Tells the file whose lines follow. */
  beginFile(): void {
    this.#document = null;
    this.#documentBytes = 0;
    this.#atStart = true;
  }

  readonly line = (bytes: Buffer, from: number, to: number, line: number): void => {
    const { log } = this.context;
    log.line = line;
    if (this.#document !== null) {
      this.#collect(bytes, from, to);
      return;
    }
    if (this.#atStart) {
      this.#atStart = false;
      if (!looksComplete(bytes, from, to)) {
        this.#document = [];
        this.#documentLine = line;
        this.#collect(bytes, from, to);
        return;
      }
    }
    if (this.reader === null && !this.#begin(bytes, from, to, line)) return;
    this.reader!.line(bytes, from, to);
  };

  /** The file ended: a document that spans lines is complete now. */
  endFile(): void {
    if (this.#document === null) return;
    const { log } = this.context;
    const bytes = Buffer.concat(this.#document);
    this.#document = null;
    log.line = this.#documentLine;
    if (this.reader !== null || this.#begin(bytes, 0, bytes.length, this.#documentLine)) this.reader!.line(bytes, 0, bytes.length);
  }

  /** Chooses the reader by the first line; false if that line is broken. */
  #begin(bytes: Buffer, from: number, to: number, line: number): boolean {
    const { log } = this.context;
    if (this.#format === null) {
      const parsed = parseLine(log, null, bytes, from, to, 0);
      if (parsed === null) {
        log.skipSession();
        return false;
      }
      this.#format = detectFormat(parsed.value, log.file, line);
    }
    this.reader = readerFor(this.#format, this.context);
    return true;
  }

  #collect(bytes: Buffer, from: number, to: number): void {
    this.#documentBytes += to - from + 1;
    if (this.#documentBytes > LINE_LIMIT_BYTES) throw tooLong(this.context.log.file, this.#documentLine);
    this.#document!.push(Buffer.from(bytes.subarray(from, to)), Buffer.from('\n'));
  }
}

/** Whether a first line is a whole JSON text: a document spread over lines breaks off behind an opening bracket or a comma. */
function looksComplete(bytes: Buffer, from: number, to: number): boolean {
  let last = to - 1;
  while (last > from && bytes[last]! <= 32) last--;
  return bytes[last] === 0x7d || bytes[last] === 0x5d;
}

function readerFor(format: TraceFormat, context: ReaderContext): LineReader {
  switch (format) {
    case 'kvcast':
      return new KvcastReader(context);
    case 'mooncake':
      return new MooncakeReader(context);
    case 'agentic-mooncake':
      return new AgenticMooncakeReader(context);
    default:
      return new WekaReader(context, format === 'agentx');
  }
}

/** Streams one file through the intake and returns its digest. */
async function readOne(path: string, intake: Intake, digest?: string): Promise<string> {
  const hash = digest === undefined ? createHash('sha256') : null;
  const splitter = new LineSplitter(intake.line);
  const { log } = intake.context;
  intake.beginFile();
  try {
    for await (const chunk of byteChunks(path, hash === null ? undefined : (bytes) => hash.update(bytes))) {
      splitter.push(chunk);
      if (splitter.tooLong > 0) throw tooLong(log.file, splitter.tooLong);
    }
  } catch (error) {
    if (!(error instanceof GzipDamage)) throw readable(error, log.file);
    log.line = 0;
    const read = `${intake.reader?.sessionsRead ?? 0} sessions read so far`;
    if (error.truncated)
      log.error(
        'E_TRACE_GZIP',
        '',
        `got the end of the file at byte ${error.offset}, expected the rest of the gzip stream`,
        `The file looks truncated (${read}).`,
      );
    else
      log.error(
        'E_TRACE_GZIP',
        '',
        `got damaged data near byte ${error.offset}, expected a gzip stream`,
        `The file is not intact (${read}).`,
      );
    log.settle(true);
  }
  splitter.end();
  intake.endFile();
  return digest ?? `sha256:${hash!.digest('hex')}`;
}

/** Reads all `*.json` and `*.jsonl` files below a directory, sorted by relative path. */
async function readDirectory(root: string, intake: Intake): Promise<string> {
  const { log } = intake.context;
  const files = await traceFiles(root, log);
  const whole = new DirectoryDigest();
  const top = log.file;
  for (const name of files) {
    log.file = `${top}/${name}`;
    const { size } = await lstat(join(root, name));
    const digest = await readOne(join(root, name), intake);
    whole.add(name, size, digest);
  }
  log.file = top;
  return whole.value();
}

/** Digest of a directory: sha256 over sorted `path NUL size NUL sha256 LF` lines. Source: trace specification 1.1. */
export class DirectoryDigest {
  readonly #hash = createHash('sha256');

  /** Files must come in the order of {@link traceFiles}; `digest` with its `sha256:` prefix. */
  add(path: string, sizeBytes: number, digest: string): void {
    this.#hash.update(`${path}\0${sizeBytes}\0${digest.slice('sha256:'.length)}\n`);
  }

  value(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

/** Relative paths of the trace files below `root`, sorted. Symbolic links are refused. */
export async function traceFiles(root: string, log: ProblemLog): Promise<string[]> {
  const files: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isSymbolicLink()) {
        log.error('E_TRACE_SYMLINK', path, 'got a symbolic link, expected files and folders', 'Name the real directory.');
      } else if (entry.isDirectory()) await walk(path);
      else if (/\.jsonl?(\.gz)?$/.test(entry.name)) files.push(path);
      else log.notice('W_TRACE_IGNORED_FILE', 'files that are not *.json or *.jsonl left out');
    }
  };
  await walk('');
  log.settle(true);
  return files.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

async function kindOf(path: string, shown: string): Promise<'file' | 'directory'> {
  try {
    const found = await lstat(path);
    return found.isDirectory() ? 'directory' : 'file';
  } catch (error) {
    throw readable(error, shown);
  }
}

/** A system error as the user's problem. */
function readable(error: unknown, file: string): Error {
  const code = (error as { code?: string }).code;
  const said: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    EISDIR: 'is a directory',
  };
  if (code === undefined || !(code in said)) return error as Error;
  const problem: Problem = { severity: 'error', code: 'E_TRACE_FILE', file, message: said[code]! };
  return new UserError(problem);
}

function tooLong(file: string, line: number): UserError {
  const message = `got a line longer than ${LINE_LIMIT_BYTES / 2 ** 20} MiB, expected one session per line`;
  return new UserError({ severity: 'error', code: 'E_TRACE_LINE_TOO_LONG', file, line, message });
}

function checkedBlockTokens(value: number | undefined): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= 4096)) return value;
  const message = `got ${value}, expected an integer 1…4096`;
  throw new UserError({ severity: 'error', code: 'E_RANGE', path: '--trace-block-tokens', message });
}

/** Positions name the file, not the folder it lies in. */
function shortName(path: string): string {
  return basename(path) || path;
}

/** File name without folder and extensions: `weka_dev.jsonl.gz` becomes `weka_dev`. */
export function sampleName(path: string): string {
  return basename(path).replace(/(\.kvtrace)?\.(jsonl?|ndjson)?(\.gz)?$|\.gz$/, '') || basename(path);
}
