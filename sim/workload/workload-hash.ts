/** Identity of a workload: arms with different hashes are not compared. Source: trace specification 7.4, experiments specification 3.1. */
import { createHash, type Hash } from 'node:crypto';
import type { Trace } from '../../traces/columns.ts';
import type { WorkloadOptions } from './workload-options.ts';

/** Layout of what is hashed; raise it when a draw changes its meaning. */
const HASH_VERSION = 'kvcast.workload.1';

/** Numbers hashed at a time. */
const PART = 4096;

const digests = new WeakMap<Trace, string>();

/** sha256 (hex) over what a trace says, independent of how its names are numbered. Cached per trace object. Cost O(requests + runs). */
export function traceDigest(trace: Trace): string {
  let digest = digests.get(trace);
  if (digest === undefined) {
    digest = digestOf(trace);
    digests.set(trace, digest);
  }
  return digest;
}

function digestOf(trace: Trace): string {
  const hash = createHash('sha256');
  const { header, session, agent, request, strings } = trace;
  text(hash, [header.blockTokens, header.idScope, header.partialTail, header.interpretation]);
  for (const names of [session.id, session.tenant, session.class, agent.id, agent.model, request.model])
    text(
      hash,
      Array.from(names, (i) => strings[i] ?? ''),
    );
  const columns = [
    ...[session.priority, session.arrivalMs, session.agentFrom],
    ...[agent.parent, agent.toolTokens, agent.systemTokens, agent.spawnAfter, agent.spawnOn, agent.spawnDelayMs, agent.joinBefore],
    ...[agent.joinDelayMs, agent.requestFrom, request.startMs, request.inTokens, request.outTokens, request.stop, request.apiMs],
    ...[request.apiEstMs, request.pauseMs, request.debiasedMs, request.captureType, request.runFrom, trace.runFirst, trace.runLast],
  ];
  for (const column of columns) hash.update(bytesOf(column));
  text(hash, [[...trace.sessionHints], [...trace.requestHints]]);
  return hash.digest('hex');
}

/** Collects the draws of the initial plays, then gives the workload's hash. */
export class WorkloadHash {
  readonly #hash = createHash('sha256');

  /**
   * Successors of a closed run are functions of these arguments, so hashing them covers plays that are not instantiated yet. Left out is
   * what may differ between arms that see the same agents: the engines' block size, which clients' hints are heard, the salts, and the
   * context limit, whose effect (requests kept) the caller adds.
   */
  constructor(trace: Trace, options: WorkloadOptions, seed: number, replication: number) {
    const { weights, tenants, salt: _s, blockTokens: _b, hintShare: _h, contextLimit: _c, overlong: _o, ...drawn } = options;
    const rest = tenants === undefined ? drawn : { ...drawn, tenants: tenants.map(({ salt: _, ...tenant }) => tenant) };
    const pairs = weights === undefined ? [] : [...weights].sort(([a], [b]) => (a < b ? -1 : 1));
    // JSON has no Infinity, and "no cap" must differ from null.
    const plain = JSON.stringify(rest, (_, value) => (value === Number.POSITIVE_INFINITY ? 'inf' : value), 0);
    text(this.#hash, [HASH_VERSION, traceDigest(trace), sortedJson(plain), pairs, seed, replication]);
  }

  /** Adds a column of drawn numbers. */
  add(column: Int32Array | Float64Array | Uint8Array): void {
    this.#hash.update(bytesOf(column));
  }

  /** As {@link add} with the column `value(0)`..`value(count - 1)`, which nobody holds. */
  addInt32(count: number, value: (i: number) => number): void {
    this.#addParts(count, value, new Int32Array(PART));
  }

  /** As {@link addInt32}. */
  addFloat64(count: number, value: (i: number) => number): void {
    this.#addParts(count, value, new Float64Array(PART));
  }

  #addParts(count: number, value: (i: number) => number, part: Int32Array | Float64Array): void {
    for (let from = 0; from < count; from += PART) {
      const to = Math.min(count, from + PART);
      for (let i = from; i < to; i++) part[i - from] = value(i);
      this.add(part.subarray(0, to - from));
    }
  }

  hex(): string {
    return this.#hash.digest('hex');
  }
}

/** JSON text with the keys of every object in order, so that the order in which options were written does not matter. */
function sortedJson(json: string): string {
  return JSON.stringify(JSON.parse(json), (_, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

function text(hash: Hash, value: unknown): void {
  hash.update(JSON.stringify(value));
  hash.update('\n');
}

function bytesOf(column: Int32Array | Float64Array | Uint8Array | Int8Array): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}
