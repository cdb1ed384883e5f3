/** Checks between fields, on a tree whose single fields are sound. Source: experiments specification 1.4. */
import type { Problem } from '../control/user-error.ts';
import { indexPath, type LocatedMap, type LocatedNode, namedPath, nodeAt, type PathStep, toValue } from './located-tree.ts';
import type { ModelValues, PresetStore } from './presets.ts';
import { problemAt } from './problem-place.ts';
import { parseScalar, type ScalarKind } from './scalars.ts';
import { didYouMean } from './spelling.ts';
import { wrongShareSum } from './tenant-shares.ts';

const MAX_WORKERS = 1024;

/** Problems between the fields of one arm's expanded tree. */
export function checkMeaning(root: LocatedMap, presets: PresetStore): Problem[] {
  const check = new MeaningCheck(root, presets);
  check.workload();
  check.fleet();
  check.run();
  check.axes();
  check.names(['fleet', 'pools'], 'pool');
  check.names(['slo'], 'objective');
  check.names(['workload', 'toolTime', 'tools'], 'tool');
  check.names(['workload', 'tenants'], 'tenant');
  check.tenants();
  return check.problems;
}

class MeaningCheck {
  readonly problems: Problem[] = [];
  readonly #root: LocatedMap;
  readonly #presets: PresetStore;

  constructor(root: LocatedMap, presets: PresetStore) {
    this.#root = root;
    this.#presets = presets;
  }

  workload(): void {
    this.#source();
    const mode = this.#value(['workload', 'arrivals', 'mode']);
    if (mode === 'open' && this.#value(['workload', 'arrivals', 'rate']) === undefined) {
      this.#missing(['workload', 'arrivals'], 'rate', 'Mode open needs sessions per time, for example rate: 48/h');
    }
    if (mode === 'closed' && this.#value(['workload', 'arrivals', 'concurrency']) === undefined) {
      this.#missing(['workload', 'arrivals'], 'concurrency', 'Mode closed needs the number of live sessions');
    }
  }

  /** Sessions come from a trace or from a generator. */
  #source(): void {
    const trace = this.#node(['workload', 'trace']);
    const synth = this.#node(['workload', 'synth']);
    if (trace === undefined && synth === undefined) {
      const hint = 'Name a trace, for example trace: {use: weka-dev@1}, or a generator: synth: {use: coding-agent-weka@1}';
      this.#missing(['workload'], 'trace', hint);
    }
    if (trace !== undefined && synth !== undefined) {
      const message = 'got a trace and a generator, expected one source of sessions';
      this.problems.push(problemAt(synth.origin, 'E_EXCLUSIVE', 'workload.synth', message, 'Remove workload.trace or workload.synth'));
    }
    for (const source of ['trace', 'synth'] as const) {
      const at = ['workload', source, 'use'];
      const use = this.#value(at);
      const preset = typeof use === 'string' ? this.#presets.load('workload', use) : undefined;
      if (preset === undefined || 'generator' in preset.values === (source === 'synth')) continue;
      const [expected, hint] =
        source === 'synth'
          ? ['a generator', 'A recorded trace is named by workload.trace']
          : ['a recorded trace', `Write synth: {use: ${use}} instead of trace`];
      this.problems.push(problemAt(this.#node(at)?.origin, 'E_PRESET', indexPath(at), `got ${use}, expected ${expected}`, hint));
    }
  }

  fleet(): void {
    this.#contextLimit();
    const pools = this.#node(['fleet', 'pools']);
    if (pools?.type !== 'list') return;
    let workers = 0;
    for (const i of pools.items.keys()) {
      const at: PathStep[] = ['fleet', 'pools', i];
      workers += this.#value([...at, 'workers']) as number;
      this.#parallel(at);
      this.#batch(at);
      this.#hostWrite(at);
      this.#lowerTiers(at);
      this.#timer(at);
    }
    if (workers > MAX_WORKERS) this.#range(['fleet', 'pools'], `got ${workers} workers in all pools, expected at most ${MAX_WORKERS}`);
    this.#faults();
  }

  #timer(at: readonly PathStep[]): void {
    const use = this.#value([...at, 'timer', 'use']);
    const need = (field: string, hint: string): void => {
      if (this.#value([...at, 'timer', 'with', field]) === undefined) this.#missing([...at, 'timer'], `with.${field}`, hint);
    };
    if (use === 'fixed@1') need('stepMs', 'fixed@1 needs the duration of a step');
    if (use !== 'phases@1') return;
    need('prefillMs', 'phases@1 needs the duration of a step with prefill work');
    need('decodeMs', 'phases@1 needs the duration of a step with decodes');
  }

  #contextLimit(): void {
    const model = this.#value(['fleet', 'model']);
    const preset = typeof model === 'string' ? this.#presets.load('model', model) : undefined;
    if (preset === undefined) return;
    const limit = (preset.values as unknown as ModelValues).contextLimit;
    const asked = this.#number('tokens', ['fleet', 'contextLimit']);
    if (asked === undefined || asked <= limit || this.#timedByConstant()) return;
    const at: PathStep[] = ['fleet', 'contextLimit'];
    const message = `got ${asked.toLocaleString('en-US')}, expected at most ${limit.toLocaleString('en-US')} (limit of ${preset.ref})`;
    this.problems.push(problemAt(this.#node(at)?.origin, 'E_CONTEXT_EXCEEDED', indexPath(at), message));
  }

  /** With step times that know no model, tables of other programs may replay longer contexts than it accepts. */
  #timedByConstant(): boolean {
    const pools = this.#node(['fleet', 'pools']);
    const use = (i: number): unknown => this.#value(['fleet', 'pools', i, 'timer', 'use']) ?? 'cells@1';
    return pools?.type === 'list' && pools.items.every((_, i) => use(i) !== 'cells@1');
  }

  #parallel(at: readonly PathStep[]): void {
    const gpus = (this.#value([...at, 'tensorParallel']) as number) * (this.#value([...at, 'dataParallel']) as number);
    const expert = this.#value([...at, 'expertParallel']) as number;
    if (gpus % expert === 0) return;
    this.#range([...at, 'expertParallel'], `got ${expert}, expected a divisor of tensorParallel x dataParallel = ${gpus}`);
  }

  #batch(at: readonly PathStep[]): void {
    const block = this.#number('tokens', [...at, 'engine', 'with', 'blockSize']);
    const path = [...at, 'engine', 'with', 'maxBatchedTokens'];
    const batched = this.#number('tokens', path);
    if (block !== undefined && batched !== undefined && batched < block)
      this.#range(path, `got ${batched}, expected at least blockSize = ${block}`);
  }

  /** selective counts passes itself, and lazy reads the victim order of lru. */
  #hostWrite(at: readonly PathStep[]): void {
    const settings = [...at, 'engine', 'with'];
    const write = this.#value([...settings, 'hostWrite']);
    if (write === 'selective' && this.#value([...settings, 'hostAdmit']) === 'frequency') {
      const message = 'got a filter besides hostWrite selective, which is one, expected one of them';
      this.#refuse('E_EXCLUSIVE', [...settings, 'hostAdmit'], message, 'Remove hostAdmit, or write hostWrite: writeThrough');
    }
    const ranker = this.#value([...settings, 'ranker']) ?? 'lru';
    if (write === 'lazy' && ranker !== 'lru') {
      const message = `got lazy with ranker ${String(ranker)}, expected ranker lru`;
      this.#refuse('E_UNSUPPORTED', [...settings, 'hostWrite'], message, 'hostWrite: writeBack runs with every ranker');
    }
  }

  /** What lies below the host tier is staged through host memory and filled from it. */
  #lowerTiers(at: readonly PathStep[]): void {
    const size = (tier: string): number | undefined => this.#number('size', [...at, 'tiers', tier, 'size']);
    if (size('host') !== 0) return;
    for (const tier of ['disk', 'remote']) {
      if ((size(tier) ?? 0) === 0) continue;
      const message = 'got a tier below a host tier of 0B, expected a host tier';
      this.#refuse('E_REQUIRED', [...at, 'tiers', tier, 'size'], message, 'Set tiers.host.size, for example 64GiB');
    }
  }

  #refuse(code: string, steps: readonly PathStep[], message: string, hint: string): void {
    this.problems.push(problemAt(this.#node(steps)?.origin, code, namedPath(this.#root, steps), message, hint));
  }

  #faults(): void {
    const faults = this.#node(['fleet', 'faults']);
    if (faults?.type !== 'list') return;
    const pools = toValue(this.#node(['fleet', 'pools'])!) as { name: string; workers: number }[];
    for (const [i, fault] of faults.items.entries()) {
      const { pool, worker } = toValue(fault) as { pool: string; worker: number };
      const found = pools.find(({ name }) => name === pool);
      const at: PathStep[] = ['fleet', 'faults', i];
      if (found === undefined) {
        const names = pools.map(({ name }) => name);
        const origin = this.#node([...at, 'pool'])?.origin;
        const hint = didYouMean(pool, names) ?? `Pools: ${names.join(', ')}`;
        this.problems.push(problemAt(origin, 'E_ENUM', indexPath([...at, 'pool']), `got ${pool}, expected the name of a pool`, hint));
      } else if (worker >= found.workers) this.#range([...at, 'worker'], `got ${worker}, expected 0..${found.workers - 1}`);
    }
  }

  run(): void {
    const horizon = this.#number('duration', ['run', 'horizon']);
    if (horizon === undefined) this.#missing(['run'], 'horizon', 'A steady run needs an end, for example horizon: 6h', ['kind']);
    const warmup = this.#value(['run', 'warmup']) === 'auto' ? 0 : this.#number('duration', ['run', 'warmup']);
    if (horizon !== undefined && warmup !== undefined && warmup >= horizon)
      this.#range(['run', 'warmup'], 'got a warm-up that is not below run.horizon, expected less');
    const min = this.#value(['run', 'replications', 'min']) as number | undefined;
    const max = this.#value(['run', 'replications', 'max']) as number | undefined;
    if (min !== undefined && max !== undefined && min > max)
      this.#range(['run', 'replications', 'min'], `got ${min}, expected at most max = ${max}`);
  }

  axes(): void {
    for (const list of [
      ['sweep', 'axes'],
      ['plan', 'vary'],
    ]) {
      const axes = this.#node(list);
      if (axes?.type !== 'list') continue;
      for (const [i, axis] of axes.items.entries()) {
        const keys = axis.type === 'map' ? axis.entries : new Map();
        if (keys.has('values') === keys.has('range')) {
          const got = keys.has('values') ? 'values and range' : 'neither values nor range';
          this.problems.push(problemAt(axis.origin, 'E_SWEEP_AXIS', indexPath([...list, i]), `got ${got}, expected one of them`));
        }
      }
    }
  }

  /** Shares of tenants add up to 1. */
  tenants(): void {
    const list = this.#node(['workload', 'tenants']);
    if (list?.type !== 'list') return;
    const sum = wrongShareSum([...list.items.keys()].map((i) => this.#number('share', ['workload', 'tenants', i, 'share'])));
    if (sum === undefined) return;
    const message = `got shares that add up to ${+sum.toPrecision(6)}, expected 1`;
    this.problems.push(
      problemAt(list.origin, 'E_RANGE', 'workload.tenants', message, 'Leave out the share of those that take the rest, equally'),
    );
  }

  names(steps: PathStep[], noun: string): void {
    const list = this.#node(steps);
    if (list?.type !== 'list') return;
    const seen = new Set<unknown>();
    for (const i of list.items.keys()) {
      const at = [...steps, i, 'name'];
      const name = this.#value(at);
      if (seen.has(name))
        this.problems.push(
          problemAt(
            this.#node(at)?.origin,
            'E_NAME_DUPLICATE',
            indexPath(at),
            `got a second ${noun} ${String(name)}, expected unique names`,
          ),
        );
      seen.add(name);
    }
  }

  #node(steps: readonly PathStep[]): LocatedNode | undefined {
    return nodeAt(this.#root, steps);
  }

  #value(steps: readonly PathStep[]): unknown {
    const node = this.#node(steps);
    return node?.type === 'scalar' ? node.value : undefined;
  }

  #number(kind: ScalarKind, steps: readonly PathStep[]): number | undefined {
    const value = this.#value(steps);
    const parsed = value === undefined ? undefined : parseScalar(kind, value, true);
    return typeof parsed === 'number' ? parsed : undefined;
  }

  #missing(holder: readonly PathStep[], key: string, hint: string, cause: readonly PathStep[] = holder): void {
    const origin = this.#node(holder)?.origin;
    const place = origin?.kind === 'file' ? origin : this.#node(cause)?.origin;
    this.problems.push(problemAt(place, 'E_REQUIRED', `${indexPath(holder)}.${key}`, 'got nothing, expected a value', hint));
  }

  #range(steps: readonly PathStep[], message: string): void {
    const node = this.#node(steps);
    const path = steps[0] === 'fleet' && steps.length === 2 ? indexPath(steps) : namedPath(this.#root, steps);
    this.problems.push(problemAt(node?.origin, 'E_RANGE', path, message));
  }
}
