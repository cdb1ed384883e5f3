import { describe, expect, it } from 'vitest';
import type { KvHint } from '../ports.ts';
import { HintDesk } from './hint-desk.ts';

/** A desk that knows session 1 of tenant 7, and what it executed. */
function desk(): { desk: HintDesk; take: (hint: Partial<KvHint>, nowMs?: number) => unknown; executed: () => number } {
  const one = new HintDesk();
  one.saw(1, 7);
  one.saw(1, 8);
  let n = 0;
  const take = (hint: Partial<KvHint>, nowMs = 0): unknown => {
    const outcome = one.take({ kind: 'sessionClosed', session: 1, ...hint }, nowMs, () => n++);
    return outcome.result === 'accepted' ? 'accepted' : outcome.reason;
  };
  return { desk: one, take, executed: () => n };
}

describe('hints outside of requests', () => {
  it('a tenant acts on its own sessions only; the operator on all (retention specification 14.3)', () => {
    const d = desk();
    expect([d.take({ tenant: 7 }), d.take({ tenant: 8 }), d.take({ tenant: 7, session: 2 }), d.take({})]).toEqual([
      'accepted',
      'unauthorised',
      'unauthorised',
      'accepted',
    ]);
    expect(d.executed()).toBe(2);
    expect(d.desk.counters).toEqual({ accepted: 2, repeated: 0, rejected: { invalid: 0, unauthorised: 2, unsupported: 0 } });
  });

  it('validation comes before authorisation, and that before what is understood (3.2)', () => {
    const d = desk();
    const compacted = (keptTokens: unknown): unknown => d.take({ kind: 'sessionCompacted', keptTokens: keptTokens as number, tenant: 8 });
    for (const garbage of [undefined, Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, true, '9']) expect(compacted(garbage)).toBe('invalid');
    expect(compacted(64)).toBe('unauthorised');
    expect(d.take({ kind: 'retain', untilMs: Number.NaN })).toBe('invalid');
    expect(d.take({ kind: 'retain', untilMs: 100, tenant: 8 })).toBe('unauthorised');
    expect(d.take({ kind: 'retain', untilMs: 100, tenant: 7 })).toBe('unsupported');
    expect(d.take({ kind: 'explode' as never })).toBe('invalid');
    expect(d.take({ session: -1 })).toBe('invalid');
    expect(d.executed()).toBe(0);
  });

  it('a repeat returns the stored outcome and changes nothing (3.3, retention:I13, S15)', () => {
    const d = desk();
    const id = { source: 'gateway', messageId: 'm', actionId: 'a' };
    expect([d.take(id), d.take(id), d.take({ ...id, tenant: 8 })]).toEqual(['accepted', 'accepted', 'accepted']);
    expect([d.take({ ...id, actionId: 'b', tenant: 8 }), d.take({ ...id, actionId: 'b' })]).toEqual(['unauthorised', 'unauthorised']);
    expect(d.take({ ...id, source: 'other' })).toBe('accepted');
    expect([d.executed(), d.desk.counters.repeated]).toEqual([2, 3]);
    // After ten minutes the table may forget.
    expect(d.take(id, 600_001)).toBe('accepted');
    expect(d.executed()).toBe(3);
  });
});
