/** What a scenario or a gateway may say about waiting beside the parameters of any router preset: `with: {queueThreshold: 1}`. */
import type { Millis, Tokens } from '../ports.ts';
import {
  type QueueClass,
  type QueueOptions,
  type QueueOrderName,
  type QueueProfile,
  type QueueRecheck,
  singleClass,
} from './queue-profile.ts';

const THRESHOLD = {
  type: ['number', 'null'],
  minimum: 0,
  title: 'router_queue_threshold',
  description: 'Requests wait while every rank has more booked prefill tokens than this many steps can batch; null = none waits',
} as const;
const ORDER = {
  type: 'string',
  enum: ['fcfs', 'lcfs', 'wspt'],
  title: 'router_queue_policy',
  description: 'Order of waiting requests',
} as const;
const MAX_REQUESTS = {
  type: 'integer',
  minimum: 0,
  title: 'request_queue_limit_per_worker',
  description: 'Waiting requests per worker above which a request is refused; 0 = refuse instead of waiting',
} as const;
const tokens = (title: string, description: string, minimum = 0) => ({ type: 'integer', 'x-unit': 'tokens', minimum, title, description });

/** JSON Schema of one class of waiting requests. */
const CLASS = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: { type: 'string', title: 'name', description: 'A request that asks for a class of this name waits in it' },
    family: { type: 'string', title: 'policy_family', description: 'Found by this name and a bucket instead of the name of the class' },
    bucket: { type: 'string', title: 'cache_bucket', description: 'Bucket of uncached tokens within the family' },
    order: { ...ORDER, description: 'Order within the class; queueOrder unless given' },
    quantum: tokens('quantum', 'Uncached tokens that one turn of the class is worth; 1 unless given', 1),
    threshold: { ...THRESHOLD, title: 'prefill_busy_threshold_frac', description: 'As queueThreshold, which holds unless given' },
    busyTokens: tokens('prefill_busy_threshold', 'A rank with more booked prefill tokens is busy too'),
    maxRequests: { ...MAX_REQUESTS, description: 'As queueMaxRequests, which holds unless given' },
    maxPromptTokens: tokens('raw_isl_token_queue_limit_per_worker', 'Waiting prompt tokens per worker above which a request is refused'),
    maxCachedTokens: tokens('cached_token_queue_limit_per_worker', 'The same for cached tokens'),
  },
} as const;

/** JSON Schema of the parameters; none has a default, so that a router that names none is what it was. */
export const QUEUE_PARAMETERS = {
  queueThreshold: THRESHOLD,
  queueOrder: ORDER,
  queueMaxRequests: MAX_REQUESTS,
  queueMaxWait: {
    type: 'number',
    'x-unit': 'duration',
    exclusiveMinimum: 0,
    title: 'Longest wait before a request is refused',
    description: 'A request that waited so long in the router is refused; 60 s unless given',
  },
  queueRecheck: {
    type: 'string',
    enum: ['always', 'events'],
    title: 'When a pinned request that could not go is looked at again',
    description: 'At everything the router hears, or only at events of its rank; the preset decides unless given',
  },
  queueClasses: {
    type: 'array',
    items: CLASS,
    title: 'policy_classes',
    description: 'Classes of waiting requests, which take turns; several need families, buckets and a default family',
  },
  queueBuckets: {
    type: 'array',
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'minTokens'],
      properties: {
        name: { type: 'string', title: 'bucket', description: 'Name of the bucket' },
        minTokens: tokens('min_tokens', 'Uncached tokens from which on a request belongs to it'),
      },
    },
    title: 'uncached_isl_buckets',
    description: 'Buckets of uncached tokens, the first from 0, ascending',
  },
  queueDefaultFamily: {
    type: 'string',
    title: 'default_policy_family',
    description: 'Family of a request that asks for no class or one that does not exist',
  },
} as const;

/** One class as given. */
interface ClassParameters {
  readonly name: string;
  readonly family?: string;
  readonly bucket?: string;
  readonly order?: QueueOrderName;
  readonly quantum?: Tokens;
  readonly threshold?: number | null;
  readonly busyTokens?: Tokens;
  readonly maxRequests?: number;
  readonly maxPromptTokens?: Tokens;
  readonly maxCachedTokens?: Tokens;
}

interface QueueParameters {
  readonly queueThreshold?: number | null;
  readonly queueOrder?: QueueOrderName;
  readonly queueMaxRequests?: number;
  readonly queueMaxWait?: Millis;
  readonly queueRecheck?: QueueRecheck;
  readonly queueClasses?: readonly ClassParameters[];
  readonly queueBuckets?: QueueProfile['buckets'] & {};
  readonly queueDefaultFamily?: string;
}

/**
 * Router parameters apart from those of the queue, and what the latter mean; null = there is no queue, which takes a threshold or a
 * class. Values must have passed {@link QUEUE_PARAMETERS}; the profile is not checked.
 */
export function splitQueue(given: Readonly<Record<string, unknown>>): {
  readonly router: Readonly<Record<string, unknown>>;
  readonly queue: QueueOptions | null;
} {
  const router: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) if (!Object.hasOwn(QUEUE_PARAMETERS, name)) router[name] = value;
  const parameters = given as QueueParameters;
  const { queueMaxWait: maxWaitMs, queueRecheck: recheck } = parameters;
  const profile = profileFrom(parameters);
  if (profile === null) return { router, queue: null };
  return {
    router,
    queue: { profile, ...(maxWaitMs === undefined ? {} : { maxWaitMs }), ...(recheck === undefined ? {} : { recheck }) },
  };
}

function profileFrom(given: QueueParameters): QueueProfile | null {
  const { queueThreshold = null, queueOrder = 'fcfs', queueMaxRequests, queueBuckets, queueDefaultFamily } = given;
  const { queueClasses = [] } = given;
  if (queueClasses.length === 0) {
    if (queueThreshold === null) return null;
    return singleClass(queueOrder, queueThreshold, queueMaxRequests === undefined ? {} : { maxRequests: queueMaxRequests });
  }
  const classes = queueClasses.map(({ quantum, threshold = queueThreshold, ...rest }): QueueClass => {
    const maxRequests = rest.maxRequests ?? queueMaxRequests;
    return {
      ...rest,
      order: rest.order ?? queueOrder,
      quantumTokens: quantum ?? 1,
      ...(threshold === null ? {} : { busyFraction: threshold }),
      ...(maxRequests === undefined ? {} : { maxRequests }),
    };
  });
  return {
    classes,
    ...(queueBuckets === undefined ? {} : { buckets: queueBuckets }),
    ...(queueDefaultFamily === undefined ? {} : { defaultFamily: queueDefaultFamily }),
  };
}
