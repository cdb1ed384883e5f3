/** Bytes of a trace: a file or standard input, plain or gzip (told by the first two bytes), streamed with bounded memory. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** A compressed stream that ends early or is damaged. `offset` counts compressed bytes. */
export class GzipDamage extends Error {
  readonly offset: number;
  readonly truncated: boolean;

  constructor(offset: number, truncated: boolean) {
    super(truncated ? 'truncated gzip stream' : 'damaged gzip stream');
    this.offset = offset;
    this.truncated = truncated;
  }
}

/** Told every byte as it lies in the file, for the digest. */
export type ByteListener = (bytes: Uint8Array) => void;

const CHUNK_BYTES = 1 << 21;

/**
 * Decompressed chunks of a file (`-` = standard input). A chunk is valid until the next one is asked for.
 * Throws {@link GzipDamage}, or the system's error for a file that cannot be read.
 */
export async function* byteChunks(path: string, listener?: ByteListener): AsyncGenerator<Buffer> {
  const raw = path === '-' ? stdinChunks(listener) : fileChunks(path, listener);
  try {
    const first = await firstBytes(raw);
    if (first === null) return;
    if (first.length > 2 && first[0] === 0x1f && first[1] === 0x8b) yield* inflated(first, raw);
    else {
      yield first;
      yield* raw;
    }
  } finally {
    // A consumer that stops early must not leave the file open.
    await raw.return(undefined);
  }
}

async function* inflated(first: Buffer, raw: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: 1 << 20 });
  const source = Readable.from(copies(first, raw), { objectMode: true, highWaterMark: 1 });
  source.on('error', (error) => gunzip.destroy(error));
  try {
    for await (const chunk of source.pipe(gunzip)) yield chunk as Buffer;
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (code.startsWith('Z_')) throw new GzipDamage(gunzip.bytesWritten, code === 'Z_BUF_ERROR');
    throw error;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

/** The first chunk with at least three bytes, or what there is; null for an empty input. */
async function firstBytes(raw: AsyncGenerator<Buffer>): Promise<Buffer | null> {
  let first: Buffer | null = null;
  while (first === null || first.length < 3) {
    const next = await raw.next();
    if (next.done) return first;
    first = first === null ? next.value : Buffer.concat([first, next.value]);
  }
  return first;
}

/** The inflater works on another thread while the next chunk is read: it needs bytes of its own. */
async function* copies(first: Buffer, raw: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from(first);
  for await (const chunk of raw) yield Buffer.from(chunk);
}

/** The bytes of a file as they lie there; reads ahead by one chunk with two buffers in turn, so a chunk is valid until the next. */
export async function* fileChunks(path: string, listener?: ByteListener): AsyncGenerator<Buffer> {
  const file: FileHandle = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const bytes = Math.max(64, Math.min(CHUNK_BYTES, size + 1));
    const buffers = [Buffer.allocUnsafe(bytes), Buffer.allocUnsafe(bytes)];
    let pending = file.read(buffers[0]!, 0, bytes);
    for (let turn = 0; ; turn ^= 1) {
      const { bytesRead } = await pending;
      if (bytesRead === 0) return;
      pending = file.read(buffers[turn ^ 1]!, 0, bytes);
      pending.catch(() => undefined);
      const chunk = buffers[turn]!.subarray(0, bytesRead);
      listener?.(chunk);
      yield chunk;
    }
  } finally {
    await file.close();
  }
}

async function* stdinChunks(listener?: ByteListener): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream('', { fd: 0, autoClose: false, highWaterMark: 1 << 20 })) {
    listener?.(chunk as Buffer);
    yield chunk as Buffer;
  }
}
