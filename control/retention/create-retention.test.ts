import { describe, expect, it } from 'vitest';
import { BranchTable } from '../blocks.ts';
import type { AttemptEnd, KvAction, RankFacts, RetentionEvent, RouteRequest } from '../ports.ts';
import { createRetention } from './create-retention.ts';
import { retentionPresets } from './retention-presets.ts';

const FACTS: RankFacts = {
  blockTokens: 64,
  hbmBlocks: 10_000,
  hostBlocks: 15_625,
  maxBatchedTokens: 8192,
  blockBytes: 1,
  prefillMsPerToken: 0.053,
  prefillMsPerPair: 0.97e-6,
};

describe('createRetention', () => {
  it('makes every preset of the catalogue with its required parameters', () => {
    for (const preset of retentionPresets()) {
      const given = preset.params.required?.includes('ttl') ? { ttl: 300_000 } : {};
      const policy = createRetention(`${preset.name}@${preset.version}`, given, {
        branches: new BranchTable(),
        rankFacts: () => FACTS,
        draw: () => 0.5,
      });
      expect(policy.name).toBe(`${preset.name}@${preset.version}`);
    }
  });

  it('claims the prompt of a finished response until response end + ttl', () => {
    const branches = new BranchTable();
    const branch = branches.add(-1, 0, 100);
    const policy = createRetention('ttl-drop@1', { ttl: 60_000 }, { branches, rankFacts: () => FACTS, draw: () => 0.5 });
    const acts: Omit<KvAction, 'id'>[] = [];
    const request = {
      attempt: 0,
      id: 's0/root/0',
      attemptNumber: 0,
      session: 0,
      sessionKey: 's0',
      tenant: 0,
      arrivalMs: 0,
      promptTokens: 6400,
      branch,
      depthBlocks: 100,
    } satisfies RouteRequest;
    const end: AttemptEnd = { status: 'finished', stop: 'tool', outputTokens: 5 };
    const event: RetentionEvent = { kind: 'finished', session: 0, rank: 0, request, end, pause: 'tool', nowMs: 1500 };
    policy.on(event, (a) => acts.push(a));
    expect(acts).toEqual([
      {
        verb: 'pin',
        rank: 0,
        session: 0,
        branch,
        fromBlocks: 0,
        toBlocks: 100,
        untilMs: 61_500,
        hardness: 'soft',
        mode: 'max',
        onExpiry: 'drop',
        refreshMs: 60_000,
        tierFloor: 3,
      },
    ]);
  });
});
