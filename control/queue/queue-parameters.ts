/** What a scenario or a gateway may say about waiting beside the parameters of any router preset: `with: {queueThreshold: 1}`. */
import type { Millis } from '../ports.ts';
import { type QueueOptions, type QueueOrderName, singleClass } from './queue-profile.ts';

/** JSON Schema of the parameters; none has a default, so that a router that names none is what it was. */
export const QUEUE_PARAMETERS = {
  queueThreshold: {
    type: ['number', 'null'],
    minimum: 0,
    title: 'router_queue_threshold',
    description: 'Requests wait while every rank has more booked prefill tokens than this many steps can batch; null = none waits',
  },
  queueOrder: { type: 'string', enum: ['fcfs', 'lcfs', 'wspt'], title: 'router_queue_policy', description: 'Order of waiting requests' },
  queueMaxRequests: {
    type: 'integer',
    minimum: 0,
    title: 'request_queue_limit_per_worker',
    description: 'Waiting requests per worker above which a request is refused; 0 = refuse instead of waiting',
  },
  queueMaxWait: {
    type: 'number',
    'x-unit': 'duration',
    exclusiveMinimum: 0,
    title: 'Longest wait before a request is refused',
    description: 'A request that waited so long in the router is refused; 60 s unless given',
  },
} as const;

/** Router parameters apart from those of the queue, and what the latter mean. Values must have passed {@link QUEUE_PARAMETERS}. */
export function splitQueue(given: Readonly<Record<string, unknown>>): {
  readonly router: Readonly<Record<string, unknown>>;
  readonly queue: QueueOptions | null;
} {
  const router: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) if (!Object.hasOwn(QUEUE_PARAMETERS, name)) router[name] = value;
  const threshold = given['queueThreshold'];
  if (typeof threshold !== 'number') return { router, queue: null };
  const maxRequests = given['queueMaxRequests'] as number | undefined;
  const maxWaitMs = given['queueMaxWait'] as Millis | undefined;
  const order = (given['queueOrder'] as QueueOrderName | undefined) ?? 'fcfs';
  const profile = singleClass(order, threshold, maxRequests === undefined ? {} : { maxRequests });
  return { router, queue: { profile, ...(maxWaitMs === undefined ? {} : { maxWaitMs }) } };
}
