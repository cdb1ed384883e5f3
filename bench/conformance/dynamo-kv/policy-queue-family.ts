/** Family policy_queue: the product's queue alone, fed with recorded entries and asked for the next under recorded blocks. */
import { PolicyQueue } from '../../../control/queue/policy-queue.ts';
import {
  classOf,
  type QueueClass,
  type QueueFull,
  type QueueOrderName,
  type QueueProfile,
  queueKey,
  singleClass,
} from '../../../control/queue/queue-profile.ts';
import { readRecording, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, Difference, Family } from '../suite.ts';

/** Profile as recorded: one class by policy and threshold, or a policy configuration. */
export interface RecordedProfile {
  readonly synthetic?: { readonly policy: QueueOrderName; readonly threshold: number | null };
  readonly config?: {
    readonly default_policy_family?: string;
    readonly policy_classes: readonly RecordedClass[];
    readonly uncached_isl_buckets?: readonly { readonly bucket: string; readonly min_tokens: number }[];
  };
}

interface RecordedClass {
  readonly name: string;
  readonly policy_family?: string;
  readonly cache_bucket?: string;
  readonly queue_policy: QueueOrderName;
  readonly quantum: number;
  readonly prefill_busy_threshold?: number;
  readonly prefill_busy_threshold_frac?: number;
  readonly request_queue_limit_per_worker?: number;
  readonly raw_isl_token_queue_limit_per_worker?: number;
  readonly cached_token_queue_limit_per_worker?: number;
}

type Op =
  | {
      readonly op: 'enqueue';
      readonly id: number;
      readonly class: string | null;
      readonly class_index: number;
      readonly raw: number;
      readonly cached: number;
      readonly arrival: number;
      readonly jump: number;
      readonly strict: number;
      readonly pin?: number;
      readonly rejected?: { readonly kind: string; readonly current: number; readonly limit: number };
    }
  | { readonly op: 'pop'; readonly blocked_classes: readonly number[]; readonly id: number | null };

interface Recorded {
  readonly id: string;
  readonly profile: RecordedProfile;
  readonly worker_count: number;
  readonly ops: readonly Op[];
  readonly drain: readonly number[];
}

/** The product's profile for a recorded one. */
export function profileOf(recorded: RecordedProfile): QueueProfile {
  const { synthetic, config } = recorded;
  if (synthetic !== undefined) return singleClass(synthetic.policy, synthetic.threshold);
  const { policy_classes, default_policy_family, uncached_isl_buckets } = config!;
  return {
    classes: policy_classes.map(classFrom),
    ...(default_policy_family === undefined ? {} : { defaultFamily: default_policy_family }),
    ...(uncached_isl_buckets === undefined
      ? {}
      : { buckets: uncached_isl_buckets.map((one) => ({ name: one.bucket, minTokens: one.min_tokens })) }),
  };
}

function classFrom(one: RecordedClass): QueueClass {
  const optional = {
    family: one.policy_family,
    bucket: one.cache_bucket,
    busyTokens: one.prefill_busy_threshold,
    busyFraction: one.prefill_busy_threshold_frac,
    maxRequests: one.request_queue_limit_per_worker,
    maxPromptTokens: one.raw_isl_token_queue_limit_per_worker,
    maxCachedTokens: one.cached_token_queue_limit_per_worker,
  };
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return { name: one.name, order: one.queue_policy, quantumTokens: one.quantum, ...given };
}

/** The family, if its recording lies in the folder. */
export function policyQueueFamily(folder: string): Family | undefined {
  const file = recordingFile(folder, 'policy_queue');
  if (file === undefined) return undefined;
  return {
    name: 'policy_queue',
    *replay() {
      for (const recorded of readRecording<Recorded>(file)) yield replayQueue(recorded);
    },
  };
}

function replayQueue(recorded: Recorded): CaseOutcome {
  const profile = profileOf(recorded.profile);
  const queue = new PolicyQueue<number>(profile);
  let fields = 0;
  let difference: Difference | undefined;
  const compare = (field: string, got: unknown, expected: unknown): void => {
    fields++;
    if (difference === undefined && !Object.is(got, expected)) difference = { field, got, expected };
  };
  const enqueue = (op: Extract<Op, { op: 'enqueue' }>, at: string): void => {
    const cachedTokens = Math.min(op.cached, op.raw);
    const uncached = op.raw - cachedTokens;
    const classIndex = classOf(profile, op.class ?? undefined, uncached);
    compare(`${at} class_index`, classIndex, op.class_index);
    if (difference !== undefined) return;
    const full = queue.full(classIndex, recorded.worker_count);
    compare(
      `${at} rejected`,
      fullText(full),
      op.rejected === undefined ? '' : `${op.rejected.kind} ${op.rejected.current} of ${op.rejected.limit}`,
    );
    if (full !== null) return;
    const key = queueKey(profile.classes[classIndex]!.order, op.arrival, Math.max(0, op.jump), uncached);
    queue.push({ item: op.id, classIndex, strict: op.strict, key, promptTokens: op.raw, cachedTokens, lane: op.pin ?? -1 });
  };
  for (const [i, op] of recorded.ops.entries()) {
    if (difference !== undefined) break;
    if (op.op === 'enqueue') enqueue(op, `op ${i}`);
    else {
      const next = queue.pop((head) => head.lane >= 0 || !op.blocked_classes.includes(head.classIndex));
      compare(`op ${i} pop`, next?.item ?? null, op.id);
    }
  }
  for (const [i, id] of [...recorded.drain, null].entries()) {
    if (difference !== undefined) break;
    compare(`drain[${i}]`, queue.pop(() => true)?.item ?? null, id);
  }
  return { id: recorded.id, fields, ...(difference === undefined ? {} : { difference }) };
}

const KINDS: Readonly<Record<QueueFull['kind'], string>> = {
  requests: 'requests',
  promptTokens: 'raw_isl_tokens',
  cachedTokens: 'cached_tokens',
};

function fullText(full: QueueFull | null): string {
  return full === null ? '' : `${KINDS[full.kind]} ${full.current} of ${full.limit}`;
}
