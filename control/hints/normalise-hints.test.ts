import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isInvalidHint } from './hint-drop.ts';
import { normaliseHints, traceHints } from './normalise-hints.ts';

const CONTEXT = { blockTokens: 16, promptTokens: 160 };
const agent = (agent_hints: unknown): ReturnType<typeof normaliseHints> => normaliseHints({ nvext: { agent_hints } }, CONTEXT);

describe('agent hints', () => {
  it('keep the values of router specification 1.2', () => {
    expect(agent({ priority: -5, strict_priority: 3, osl: 512, speculative_prefill: true })).toEqual({
      hints: { priority: -5, strictPriority: 3, osl: 512, speculativePrefill: true },
      drops: [],
    });
    expect(['LOW', 'MEDIUM', 'HIGH'].map((osl) => agent({ osl }).hints)).toEqual([{ osl: 128 }, { osl: 512 }, { osl: 2048 }]);
    expect(agent({ priority: 2 ** 31 - 1, strict_priority: 2 ** 32 - 1 }).hints).toEqual({
      priority: 2 ** 31 - 1,
      strictPriority: 2 ** 32 - 1,
    });
  });

  it('ignore unknown keys', () => {
    expect(agent({ shoe_size: 42 })).toEqual({ drops: [] });
  });

  it.each([
    [{ priority: true }, 'priority', 'wrong_type'],
    [{ priority: 1.5 }, 'priority', 'wrong_type'],
    [{ priority: '5' }, 'priority', 'wrong_type'],
    [{ priority: Number.NaN }, 'priority', 'not_finite'],
    [{ priority: Number.NEGATIVE_INFINITY }, 'priority', 'not_finite'],
    [{ priority: 2 ** 31 }, 'priority', 'out_of_range'],
    [{ strict_priority: -1 }, 'strict_priority', 'out_of_range'],
    [{ osl: 0 }, 'osl', 'out_of_range'],
    [{ osl: 'SOME' }, 'osl', 'unknown_value'],
    [{ speculative_prefill: 1 }, 'speculative_prefill', 'wrong_type'],
    [{ latency_sensitivity: 0.5 }, 'latency_sensitivity', 'unsupported'],
    ['high', 'agent_hints', 'wrong_type'],
  ])('%j drops %s as %s', (given, field, reason) => {
    expect(agent(given)).toEqual({ drops: [{ field, reason }] });
  });

  it('drop a bad field and keep its neighbours', () => {
    expect(agent({ priority: true, osl: 7 })).toEqual({ hints: { osl: 7 }, drops: [{ field: 'priority', reason: 'wrong_type' }] });
  });

  it('know which drops are the client’s mistake', () => {
    expect(isInvalidHint({ field: 'priority', reason: 'wrong_type' })).toBe(true);
    expect(isInvalidHint({ field: 'cache_control', reason: 'too_short' })).toBe(false);
  });
});

describe('normaliseHints', () => {
  it('joins cache_control and retain directives into one list of prefix claims', () => {
    const result = normaliseHints(
      {
        cacheControl: [{ endTokens: 33, control: { type: 'ephemeral', ttl: '10m' } }],
        envelope: {
          protocol_version: '1.0',
          message_id: 'm',
          actions: [
            {
              action_id: 'a',
              action_type: 'kv.retain',
              action_version: '1.0',
              payload: { scope: 's', directives: [{ end: 100, priority: 80, duration: 60 }] },
            },
          ],
        },
      },
      CONTEXT,
    );
    expect(result).toEqual({
      hints: {
        cacheControl: [
          { blockIndex: 1, ttlMs: 600_000 },
          { blockIndex: 5, ttlMs: 60_000 },
        ],
        retain: [{ fromBlocks: 0, toBlocks: 6, priority: 80, durationMs: 60_000 }],
      },
      drops: [],
    });
  });

  it('never throws and gives only values within their ranges, whatever arrives', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (nvext, control, envelope) => {
        const { hints } = normaliseHints({ nvext, cacheControl: [{ endTokens: 64, control }], envelope }, CONTEXT);
        for (const c of hints?.cacheControl ?? []) {
          expect(Number.isSafeInteger(c.blockIndex) && c.blockIndex >= 0 && c.blockIndex < 10).toBe(true);
          expect(Number.isFinite(c.ttlMs) && c.ttlMs >= 0).toBe(true);
        }
        if (hints?.priority !== undefined) expect(Number.isInteger(hints.priority)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('hints of a trace', () => {
  it('read the normal form and list what they can not use', () => {
    expect(traceHints({ osl: 100, priority: 2, ttlMs: 60_000, declaredPauseMs: 500, mood: 'good' }, 8)).toEqual({
      hints: { osl: 100, priority: 2, cacheControl: [{ blockIndex: 7, ttlMs: 60_000 }], declaredPauseMs: 500 },
      drops: [{ field: 'mood', reason: 'unsupported' }],
    });
    expect(traceHints({ ttlMs: Number.NaN, osl: true, toString: 1 }, 8)).toEqual({
      drops: [
        { field: 'ttlMs', reason: 'not_finite' },
        { field: 'osl', reason: 'wrong_type' },
        { field: 'toString', reason: 'unsupported' },
      ],
    });
    expect(traceHints(undefined, 8)).toEqual({ drops: [] });
    expect(traceHints([1], 8).drops).toEqual([{ field: 'hints', reason: 'wrong_type' }]);
  });
});
