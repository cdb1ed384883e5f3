import { describe, expect, it } from 'vitest';
import type { KvAction } from '../ports.ts';
import type { HintDrop } from './hint-drop.ts';
import { parseRetainEnvelope, retainControls, retainEnvelope } from './retain-envelope.ts';

const action = (directives: unknown, over: object = {}): object => ({
  action_id: 'a1',
  action_type: 'kv.retain',
  action_version: '1.0',
  payload: { scope: 'request', directives },
  ...over,
});
const envelope = (...actions: unknown[]): object => ({ protocol_version: '1.0', message_id: 'm1', actions });
const reasonOf = (directive: unknown): string | undefined => {
  const drop = parseRetainEnvelope(envelope(action([directive]))).outcomes[0]!.drop;
  return drop === undefined ? undefined : `${drop.field.replace('envelope.', '')}:${drop.reason}`;
};

describe('vllm-retain-1 envelopes', () => {
  it('read ranges with their defaults and the output directive', () => {
    const read = parseRetainEnvelope(
      envelope(
        action([
          { priority: 90, duration: 300, end: 1000 },
          { start: 1000, priority: 50, duration: null },
          { covers_output: true, priority: 10, duration: 1.5 },
        ]),
      ),
    );
    expect(read.outcomes).toEqual([{ actionId: 'a1', result: 'accepted' }]);
    expect(read.actions[0]!.directives).toEqual([
      { startTokens: 0, endTokens: 1000, coversOutput: false, priority: 90, durationMs: 300_000 },
      { startTokens: 1000, endTokens: null, coversOutput: false, priority: 50, durationMs: null },
      { startTokens: 0, endTokens: null, coversOutput: true, priority: 10, durationMs: 1500 },
    ]);
  });

  it.each([
    [{ priority: true }, 'priority:wrong_type'],
    [{ priority: 50.5 }, 'priority:wrong_type'],
    [{ priority: 101 }, 'priority:out_of_range'],
    [{ priority: -1 }, 'priority:out_of_range'],
    [{ priority: 5, duration: Number.NaN }, 'duration:not_finite'],
    [{ priority: 5, duration: Number.POSITIVE_INFINITY }, 'duration:not_finite'],
    [{ priority: 5, duration: -1 }, 'duration:out_of_range'],
    [{ priority: 5, duration: 30 * 86_400 + 1 }, 'duration:out_of_range'],
    [{ priority: 5, duration: true }, 'duration:wrong_type'],
    [{ priority: 5, start: 4, end: 4 }, 'range:out_of_range'],
    [{ priority: 5, start: -1 }, 'range:wrong_type'],
    [{ priority: 5, end: 1.5 }, 'range:wrong_type'],
    [{ priority: 5, end: 1e300 }, 'range:wrong_type'],
    [{ priority: 5, colour: 'red' }, 'directive.colour:unknown_value'],
    [{ priority: 5, covers_output: true, start: 0 }, 'covers_output:unknown_value'],
    [{ priority: 5, duration: 30 * 86_400 }, undefined],
  ])('directive %j: %s', (directive, reason) => {
    expect(reasonOf(directive)).toBe(reason);
  });

  it('skip a bad action and apply the others', () => {
    const read = parseRetainEnvelope(
      envelope(
        action([{ priority: true }]),
        action([{ priority: 1 }], { action_id: 'a2' }),
        action([{ priority: 1 }], { action_id: 'a3', action_type: 'kv.dance' }),
        action([{ priority: 1 }], { action_id: 'a2' }),
        7,
      ),
    );
    expect(read.outcomes.map((o) => o.result)).toEqual(['rejected', 'accepted', 'ignored', 'rejected', 'rejected']);
    expect(read.actions.map((a) => a.actionId)).toEqual(['a2']);
  });

  it('want priorities that do not rise along the tokens', () => {
    const rising = envelope(
      action([
        { end: 10, priority: 1 },
        { start: 10, priority: 2 },
      ]),
    );
    expect(parseRetainEnvelope(rising).outcomes[0]!.result).toBe('rejected');
    expect(parseRetainEnvelope(rising, true).malformed).toEqual({ field: 'envelope.priority_order', reason: 'unknown_value' });
    expect(
      parseRetainEnvelope(
        envelope(
          action([
            { start: 10, priority: 1 },
            { end: 10, priority: 2 },
          ]),
        ),
        true,
      ).malformed,
    ).toBeUndefined();
  });

  it('are dropped as a whole when malformed, too large, of mixed scope', () => {
    const many = Array.from({ length: 1000 }, (_, i) => action([{ priority: 1 }], { action_id: `a${i}` }));
    expect(parseRetainEnvelope(envelope(...many)).malformed).toEqual({ field: 'envelope.actions', reason: 'out_of_range' });
    expect(parseRetainEnvelope(envelope(action(Array(129).fill({ priority: 1 })))).malformed?.field).toBe('envelope.directives');
    const other = action([{ priority: 1 }], { action_id: 'b', payload: { scope: 'session', directives: [{ priority: 1 }] } });
    expect(parseRetainEnvelope(envelope(action([{ priority: 1 }]), other)).malformed?.field).toBe('envelope.scope');
    for (const garbage of [
      null,
      [],
      'x',
      {},
      { message_id: 'm', protocol_version: 1 },
      { message_id: '', protocol_version: 1, actions: [] },
    ]) {
      const read = parseRetainEnvelope(garbage);
      expect(read.malformed).toBeDefined();
      expect(read.actions).toEqual([]);
    }
  });

  it('refuse another major version', () => {
    const version = (action_version: unknown): string =>
      parseRetainEnvelope(envelope(action([{ priority: 1 }], { action_version }))).outcomes[0]!.result;
    expect(['1', '1.0', '1.12', 1, '2.0', '10', undefined].map(version)).toEqual([
      'accepted',
      'accepted',
      'accepted',
      'accepted',
      'rejected',
      'rejected',
      'rejected',
    ]);
  });
});

describe('retain directives as claims', () => {
  it('claim the prefix up to the end of the range, in full blocks, for a finite time', () => {
    const drops: HintDrop[] = [];
    const { actions } = parseRetainEnvelope(
      envelope(
        action([
          { end: 100, priority: 90, duration: 60 },
          { start: 32, end: 40, priority: 80, duration: 60 },
          { start: 100, priority: 70, duration: 10 },
          { start: 100, priority: 60 },
          { start: 100, priority: 0, duration: 10 },
          { covers_output: true, priority: 0 },
        ]),
      ),
    );
    expect(retainControls(actions[0]!.directives, 16, 165, drops)).toEqual([
      { blockIndex: 5, ttlMs: 60_000 },
      { blockIndex: 9, ttlMs: 10_000 },
    ]);
    expect(drops).toEqual([
      { field: 'envelope.range', reason: 'too_short' },
      { field: 'envelope.duration', reason: 'no_duration' },
    ]);
  });
});

describe('export of claims', () => {
  it('reads back as the directives it was made from', () => {
    const pin: KvAction = {
      id: 7,
      verb: 'pin',
      rank: 0,
      session: 3,
      branch: 0,
      fromBlocks: 0,
      toBlocks: 10,
      untilMs: 61_000,
      hardness: 'soft',
      mode: 'max',
      onExpiry: 'trueLastAccess',
      tierFloor: 1,
    };
    const release: KvAction = { ...pin, id: 8, fromBlocks: 4, untilMs: 1000 };
    const read = parseRetainEnvelope(JSON.parse(JSON.stringify(retainEnvelope('m9', [pin, release], 16, 80, 1000))));
    expect(read.malformed).toBeUndefined();
    expect(read.actions.map((a) => [a.actionId, a.directives[0]])).toEqual([
      ['7', { startTokens: 0, endTokens: 160, coversOutput: false, priority: 80, durationMs: 60_000 }],
      ['8', { startTokens: 64, endTokens: 160, coversOutput: false, priority: 0, durationMs: null }],
    ]);
  });

  it('gives levels their own priority, and none with an end that they do not have', () => {
    const range = { rank: 0, session: 3, branch: 0, fromBlocks: 0, toBlocks: 10, hardness: 'soft', mode: 'max', tierFloor: 0 } as const;
    const level: KvAction = { ...range, id: 1, verb: 'retain', priority: 20, untilMs: Number.POSITIVE_INFINITY, onExpiry: 'back' };
    const read = parseRetainEnvelope(
      JSON.parse(JSON.stringify(retainEnvelope('m', [level, { ...level, id: 2, untilMs: 2000 }], 16, 80, 1000))),
    );
    expect(read.actions.map((a) => [a.directives[0]!.priority, a.directives[0]!.durationMs])).toEqual([
      [20, null],
      [20, 1000],
    ]);
  });
});
