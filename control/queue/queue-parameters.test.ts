import { expect, test } from 'vitest';
import { QUEUE_PARAMETERS, splitQueue } from './queue-parameters.ts';
import { checkProfile, classOf } from './queue-profile.ts';

test("without a threshold and without classes there is no queue, and what is not of the queue stays the router's", () => {
  expect(splitQueue({ c: 1, queueOrder: 'wspt', queueMaxWait: 5 })).toEqual({ router: { c: 1 }, queue: null });
  expect(splitQueue({ queueThreshold: null })).toEqual({ router: {}, queue: null });
});

test("one class takes threshold, order and limit; wait and recheck are the room's", () => {
  const given = { queueThreshold: 0.5, queueOrder: 'wspt', queueMaxRequests: 3, queueMaxWait: 30_000, queueRecheck: 'events' };
  expect(splitQueue(given).queue).toEqual({
    profile: { classes: [{ name: 'default', order: 'wspt', quantumTokens: 1, busyFraction: 0.5, maxRequests: 3 }] },
    maxWaitMs: 30_000,
    recheck: 'events',
  });
});

test('several classes: what one leaves out is what all are given, and its own null threshold is none', () => {
  const { queue } = splitQueue({
    queueThreshold: 1,
    queueOrder: 'wspt',
    queueMaxRequests: 9,
    queueDefaultFamily: 'all',
    queueBuckets: [
      { name: 'short', minTokens: 0 },
      { name: 'long', minTokens: 2048 },
    ],
    queueClasses: [
      { name: 'a', family: 'all', bucket: 'short', quantum: 100 },
      { name: 'b', family: 'all', bucket: 'long', order: 'fcfs', threshold: 2, busyTokens: 5000, maxRequests: 0, maxPromptTokens: 7 },
      { name: 'now', threshold: null },
    ],
  });
  const profile = queue!.profile;
  expect(() => checkProfile(profile)).not.toThrow();
  expect(profile.classes).toEqual([
    { name: 'a', family: 'all', bucket: 'short', order: 'wspt', quantumTokens: 100, busyFraction: 1, maxRequests: 9 },
    {
      ...{ name: 'b', family: 'all', bucket: 'long', order: 'fcfs', quantumTokens: 1, busyFraction: 2 },
      ...{ busyTokens: 5000, maxRequests: 0, maxPromptTokens: 7 },
    },
    { name: 'now', order: 'wspt', quantumTokens: 1, maxRequests: 9 },
  ]);
  expect([classOf(profile, 'now', 5), classOf(profile, 'x', 5), classOf(profile, undefined, 4000)]).toEqual([2, 0, 1]);
});

test('no parameter has a default: a router that names none is what it was', () => {
  const parameters: Readonly<Record<string, object>> = QUEUE_PARAMETERS;
  expect(Object.entries(parameters).filter(([name, schema]) => !name.startsWith('queue') || 'default' in schema)).toEqual([]);
});
