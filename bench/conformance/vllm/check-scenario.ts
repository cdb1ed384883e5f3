/** Is a line of a recording a scenario that can be replayed? Form, ranges and references; not whether its decisions are right. */
import { broken } from '../recording-file.ts';
import type { RecordedScenario } from './vllm-recording.ts';

/** Throws {@link Malformed} if the value is not of the form. */
type Check = (value: unknown, path: string) => void;

class Malformed extends Error {
  readonly path: string;

  constructor(path: string, value: unknown, expected: string) {
    const got = JSON.stringify(value) ?? 'nothing';
    super(`got ${got.length > 60 ? `${got.slice(0, 57)}...` : got}, expected ${expected}`);
    this.path = path;
  }
}

/** Largest token count, id or iteration that the replay can hold. */
const MOST = 2 ** 30;
/** Largest pool that the stepped engine may allocate per block. */
const MOST_BLOCKS = 9_999_999;

const RANGES = /^(\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*)?$/;
const EVENT = /^(C|(R|S(\.|\d{1,7})):\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*)$/;

const id = integer(0);
const ids = list(id);
const pair = tuple(id, integer(0));
const flag: Check = (value, path) => {
  if (typeof value !== 'boolean') throw new Malformed(path, value, 'true or false');
};

const CONFIG = object({
  block_size: integer(1),
  num_blocks: integer(2, MOST_BLOCKS),
  max_num_batched_tokens: integer(1),
  max_num_seqs: integer(1),
  max_num_active_seqs: (value, path) => {
    if (value !== null) integer(1)(value, path);
  },
  max_model_len: integer(2),
  long_prefill_token_threshold: integer(0),
  long_prefill_token_threshold_adaptive: flag,
  enable_prefix_caching: flag,
  enable_chunked_prefill: flag,
  policy: oneOf('fcfs', 'priority'),
  scheduler_reserve_full_isl: flag,
  watermark: (value, path) => {
    if (typeof value !== 'number' || !(value >= 0 && value <= 1)) throw new Malformed(path, value, 'a number in [0, 1]');
  },
  async_depth: oneOf(1, 2),
  arrival_time: oneOf('sequence', 'step'),
});

const REQUEST = object(
  { prompt: list(tuple(integer(0), integer(0), integer(1)), 1), out: integer(0), max_tokens: integer(1) },
  { priority: integer(-MOST), stop_at: integer(1) },
);

const STEP = object(
  { t: integer(0) },
  {
    abort: ids,
    reset: flag,
    add: ids,
    s: ids,
    new: list(pair),
    res: list(pair),
    pre: ids,
    b: list(tuple(id, text(RANGES, 'block ranges as "4,6-5,7"'))),
    run: ids,
    wait: ids,
    wait2: ids,
    free: integer(0),
    f2: integer(0),
    fin: ids,
    stale: ids,
    waste: ids,
    ne: integer(0),
    ev: list(text(EVENT, 'an event as "S1:2-3", "R:4" or "C"')),
    pc: tuple(id, id, id, id, id, id),
    u: integer(0),
  },
);

const SCENARIO = object({
  id: text(/./, 'a name'),
  config: CONFIG,
  requests: list(REQUEST, 1),
  steps: list(STEP, 1),
  final: object({
    requests: list(tuple(id, integer(-1), integer(0), integer(0), text(/^/, 'a reason'), integer(-1), integer(0))),
    free_queue: text(RANGES, 'block ranges as "4,6-5,7"'),
    hashed_blocks: integer(0),
    distinct_hashes: integer(0),
  }),
});

/** The value as a scenario. Throws E_RECORDING with file, line and path inside the line. Cost O(size of the line). */
export function checkScenario(value: unknown, file: string, line: number): RecordedScenario {
  try {
    SCENARIO(value, '');
    const scenario = value as RecordedScenario;
    checkReferences(scenario);
    return scenario;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw broken(file, error.message, { line, ...(error.path === '' ? {} : { path: error.path }) });
  }
}

/** Ids exist, are submitted once and before they are named; iterations increase. */
function checkReferences({ config, requests, steps, final }: RecordedScenario): void {
  for (const [i, request] of requests.entries()) {
    const prompt = request.prompt.reduce((sum, segment) => sum + segment[2], 0);
    if (prompt >= config.max_model_len) throw new Malformed(`requests[${i}].prompt`, prompt, `fewer than ${config.max_model_len} tokens`);
  }
  const submitted = new Set<number>();
  let before = -1;
  for (const [i, step] of steps.entries()) {
    const path = `steps[${i}]`;
    if (step.t <= before) throw new Malformed(`${path}.t`, step.t, `an iteration after ${before}`);
    before = step.t;
    if ((step.s ?? []).length % 3 !== 0) throw new Malformed(`${path}.s`, step.s, 'triples');
    if (step.u !== undefined && step.u > step.t) throw new Malformed(`${path}.u`, step.u, `an iteration up to ${step.t}`);
    for (const name of step.abort ?? []) if (!submitted.has(name)) throw new Malformed(`${path}.abort`, name, 'a submitted request');
    for (const name of step.add ?? []) {
      if (name >= requests.length) throw new Malformed(`${path}.add`, name, `a request below ${requests.length}`);
      if (submitted.has(name)) throw new Malformed(`${path}.add`, name, 'a request that was not submitted before');
      submitted.add(name);
    }
  }
  for (const [name] of final.requests) if (!submitted.has(name)) throw new Malformed('final.requests', name, 'a submitted request');
}

function integer(least: number, most = MOST): Check {
  return (value, path) => {
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
      throw new Malformed(path, value, `an integer in [${least}, ${most}]`);
  };
}

function oneOf(...allowed: readonly unknown[]): Check {
  return (value, path) => {
    if (!allowed.includes(value)) throw new Malformed(path, value, allowed.join(' or '));
  };
}

function text(pattern: RegExp, expected: string): Check {
  return (value, path) => {
    if (typeof value !== 'string' || !pattern.test(value)) throw new Malformed(path, value, expected);
  };
}

function list(check: Check, least = 0): Check {
  return (value, path) => {
    if (!Array.isArray(value) || value.length < least) throw new Malformed(path, value, `a list of ${least} or more`);
    for (const [i, item] of value.entries()) check(item, `${path}[${i}]`);
  };
}

function tuple(...checks: readonly Check[]): Check {
  return (value, path) => {
    if (!Array.isArray(value) || value.length !== checks.length) throw new Malformed(path, value, `a list of ${checks.length}`);
    for (const [i, check] of checks.entries()) check(value[i], `${path}[${i}]`);
  };
}

/** Fields that must and fields that may be there; others are ignored. */
function object(required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>> = {}): Check {
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed(path, value, 'an object');
    const fields = value as Readonly<Record<string, unknown>>;
    const below = (name: string) => (path === '' ? name : `${path}.${name}`);
    for (const [name, check] of Object.entries(required)) check(fields[name], below(name));
    for (const [name, check] of Object.entries(optional)) if (fields[name] !== undefined) check(fields[name], below(name));
  };
}
