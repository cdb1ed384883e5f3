/**
 * Ingest once: a trace that was read before comes back from a columnar file in milliseconds. Files are named by the digest of the source,
 * the reader's version and the options that change what is read; a damaged or unusable cache costs a re-read, never a failure.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileChunks } from './byte-source.ts';
import { decodeTrace, encodeTrace } from './cache-codec.ts';
import type { Trace } from './columns.ts';
import { ProblemLog } from './problem-log.ts';
import { DirectoryDigest, type ReadTraceOptions, readTrace, sampleName, traceFiles } from './read.ts';

/** Raise it whenever a reader or rule changes what a trace means: older files are then ignored. */
const READER_VERSION = 1;
const SUFFIX = '.kvtc';

export interface CachedTrace {
  readonly trace: Trace;
  /** `hit` = from the cache; `stored` = read and written; `bypassed` = standard input, or no usable cache. */
  readonly cache: 'hit' | 'stored' | 'bypassed';
  /** Size of the cache file, 0 if there is none. */
  readonly cacheBytes: number;
  /** What the user may want to know, e.g. that the cache folder cannot be written. */
  readonly notice?: string;
}

export interface CacheOptions extends ReadTraceOptions {
  /** Folder of the cache; default {@link defaultCacheDir}. */
  readonly cacheDir?: string;
}

/** `${XDG_CACHE_HOME or ~/.cache}/kvcast/traces`. */
export function defaultCacheDir(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base !== undefined && base !== '' ? base : join(homedir(), '.cache'), 'kvcast', 'traces');
}

/** {@link readTrace} through the cache. Throws what readTrace throws. */
export async function readTraceCached(source: string, options: CacheOptions = {}): Promise<CachedTrace> {
  const { cacheDir = defaultCacheDir(), ...readOptions } = options;
  const fingerprint = source === '-' ? null : await fingerprintOf(source);
  if (fingerprint === null) return { trace: await readTrace(source, readOptions), cache: 'bypassed', cacheBytes: 0 };
  const digest = (await rememberedDigest(cacheDir, source, fingerprint)) ?? (await digestOf(source, fingerprint.files));
  const path = join(cacheDir, `${keyOf(digest, readOptions)}${SUFFIX}`);
  const stored = await load(path);
  if (stored !== null) {
    await remember(cacheDir, source, fingerprint, digest);
    return { trace: renamed(stored.trace, source), cache: 'hit', cacheBytes: stored.bytes };
  }
  const trace = await readTrace(source, { ...readOptions, digest });
  const bytes = encodeTrace(trace);
  if (bytes === null) return { trace, cache: 'bypassed', cacheBytes: 0, notice: 'trace cache not used: numbers too large for its layout' };
  try {
    await mkdir(cacheDir, { recursive: true });
    await writeWhole(path, bytes);
    await remember(cacheDir, source, fingerprint, digest);
  } catch (error) {
    const notice = `trace cache not used: ${cacheDir} (${(error as { code?: string }).code ?? 'cannot be written'})`;
    return { trace, cache: 'bypassed', cacheBytes: 0, notice };
  }
  return { trace, cache: 'stored', cacheBytes: bytes.length };
}

/** Number and total size of the cached traces, for `kvcast doctor`. */
export async function traceCacheInfo(cacheDir: string = defaultCacheDir()): Promise<{ files: number; bytes: number }> {
  const names = await readdir(cacheDir).catch(() => [] as string[]);
  let bytes = 0;
  const files = names.filter((n) => n.endsWith(SUFFIX));
  for (const name of files) bytes += (await stat(join(cacheDir, name)).catch(() => ({ size: 0 }))).size;
  return { files: files.length, bytes };
}

function keyOf(digest: string, options: ReadTraceOptions): string {
  const { format = 'auto', blockTokens = 0, skipBad = 0, notBefore = 'ignore' } = options;
  return createHash('sha256')
    .update(JSON.stringify([digest, READER_VERSION, format, blockTokens, skipBad, notBefore]))
    .digest('hex');
}

async function load(path: string): Promise<{ trace: Trace; bytes: number } | null> {
  try {
    const bytes = await readFile(path);
    const trace = decodeTrace(bytes);
    return trace === null ? null : { trace, bytes: bytes.length };
  } catch {
    return null;
  }
}

/** The same bytes may lie under another name now. */
function renamed(trace: Trace, source: string): Trace {
  const name = sampleName(source);
  if (trace.input === undefined || trace.input.name === name) return trace;
  const header = trace.input.format === 'kvcast' ? trace.header : { ...trace.header, source: { ...trace.header.source, name } };
  return { ...trace, header, input: { ...trace.input, name } };
}

/** Identity of the content as far as the file system tells: of a file, or of all trace files below a directory. Null if unreadable. */
async function fingerprintOf(path: string): Promise<Fingerprint | null> {
  try {
    const top = await stat(path);
    const files = top.isDirectory() ? await traceFiles(path, new ProblemLog(path)) : null;
    if (files === null && !top.isFile()) return null;
    const lines: string[] = [];
    let mtimeMs = 0;
    for (const file of files ?? ['']) {
      const s = await stat(join(path, file), { bigint: true });
      lines.push(`${file}:${s.dev}:${s.ino}:${s.size}:${s.mtimeNs}`);
      mtimeMs = Math.max(mtimeMs, Number(s.mtimeNs / 1_000_000n));
    }
    const text = createHash('sha256').update(lines.join('\n')).digest('hex');
    return { text, mtimeMs, files };
  } catch {
    return null;
  }
}

interface Fingerprint {
  readonly text: string;
  readonly mtimeMs: number;
  /** Relative paths below a directory; null for a file. */
  readonly files: readonly string[] | null;
}

function memoPath(cacheDir: string, source: string): string {
  return join(cacheDir, `${createHash('sha256').update(resolve(source)).digest('hex').slice(0, 32)}.digest`);
}

/** The digest of an unchanged file, so that a large one need not be read only to be named. */
async function rememberedDigest(cacheDir: string, source: string, fingerprint: Fingerprint): Promise<string | null> {
  try {
    const [text, digest] = (await readFile(memoPath(cacheDir, source), 'utf8')).split('\n');
    return text === fingerprint.text && digest?.startsWith('sha256:') ? digest : null;
  } catch {
    return null;
  }
}

/** A file changed within the last seconds may change again within the same time stamp; its digest is not remembered. */
const SETTLED_MS = 2000;

async function remember(cacheDir: string, source: string, fingerprint: Fingerprint, digest: string): Promise<void> {
  if (Date.now() - fingerprint.mtimeMs < SETTLED_MS) return;
  const path = memoPath(cacheDir, source);
  const text = `${fingerprint.text}\n${digest}\n`;
  const known = await readFile(path, 'utf8').catch(() => '');
  if (known !== text) await writeWhole(path, Buffer.from(text)).catch(() => undefined);
}

async function digestOf(path: string, files: readonly string[] | null): Promise<string> {
  if (files === null) return fileDigest(path);
  const digests = new DirectoryDigest();
  for (const file of files) digests.add(file, (await stat(join(path, file))).size, await fileDigest(join(path, file)));
  return digests.value();
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of fileChunks(path)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** Writes to a temporary name, then renames: a reader never sees half a file. */
export async function writeWhole(path: string, bytes: Buffer): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}
