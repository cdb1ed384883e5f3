import { describe, expect, it } from 'vitest';
import type { TraceSession } from '../../traces/format.ts';
import { fixtureRequest, fixtureTrace } from './fixture-trace.ts';
import { materialiseWorkload } from './materialise.ts';
import { TenantMix } from './tenant-mix.ts';
import type { Workload } from './workload.ts';
import { WORKLOAD_DEFAULTS, type WorkloadOptions } from './workload-options.ts';

const BASE: WorkloadOptions = {
  ...{ ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e9 },
  arrivals: { mode: 'open', process: 'poisson', ratePerMs: 1 / 1000 },
};
const THREE = [
  { name: 'big', share: 0.6 },
  { name: 'small', share: 0.4 },
  { name: 'none', share: 0 },
];
/** Sessions whose prompts are the same eight blocks: 4 of tools and system, 4 of their own. */
const sessions = (tenants: readonly (string | undefined)[]): TraceSession[] =>
  tenants.map((tenant, i) => ({
    id: `s${i}`,
    arrivalMs: i,
    ...(tenant === undefined ? {} : { tenant }),
    agents: [{ id: 'root', model: 'm', toolTokens: 128, systemTokens: 128, requests: [fixtureRequest(0, [[1, 8]])] }],
  }));
const tenantsOf = (w: Workload) => [...w.initialPlays].map((play) => w.plays.tenant[play]!);
/** Blocks that the first turns of two plays have in common. */
const common = ({ branches, turns }: Workload, x: number, y: number) =>
  branches.commonDepth(turns.branch(x), turns.depthBlocks(x), turns.branch(y), turns.depthBlocks(y));

describe('who sessions belong to', () => {
  it('deals sessions in their shares, by a draw of each play that nothing else shares', () => {
    const trace = fixtureTrace(sessions([undefined]));
    const plain = materialiseWorkload(trace, { ...BASE, sessions: 2000 }, 7, 0);
    const mixed = materialiseWorkload(trace, { ...BASE, sessions: 2000, tenants: THREE }, 7, 0);
    expect(mixed.tenants).toEqual(['big', 'small', 'none']);
    const counts = [0, 0, 0];
    for (const tenant of tenantsOf(mixed)) counts[tenant]!++;
    // 3 standard deviations of a binomial: 66.
    expect(Math.abs(counts[0]! - 1200)).toBeLessThan(66);
    expect(counts[2]).toBe(0);
    expect(tenantsOf(materialiseWorkload(trace, { ...BASE, sessions: 2000, tenants: THREE }, 7, 0))).toEqual(tenantsOf(mixed));
    expect(tenantsOf(materialiseWorkload(trace, { ...BASE, sessions: 2000, tenants: THREE }, 8, 0))).not.toEqual(tenantsOf(mixed));
    expect(mixed.plays.startMs.subarray(0, 2000)).toEqual(plain.plays.startMs.subarray(0, 2000));
  });

  it('a longer list of plays keeps the tenants of the shorter one, successors of closed slots included', () => {
    const trace = fixtureTrace(sessions([undefined, undefined]));
    const closed = { mode: 'closed', concurrency: 4, rampUpMs: 0, start: 'cold', respawnMs: 0 } as const;
    const workload = () => materialiseWorkload(trace, { ...BASE, tenants: THREE, arrivals: closed }, 3, 0);
    const forth = workload();
    const back = workload();
    const first = [0, 1, 2, 3].map((slot) => forth.plays.tenant[forth.successor(slot, 1)]);
    const second = [3, 2, 1, 0].map((slot) => back.plays.tenant[back.successor(slot, 1)]).reverse();
    expect(second).toEqual(first);
  });

  it('without a mix they belong to the tenants of the trace, and a mix takes their place', () => {
    const trace = fixtureTrace(sessions(['red', 'blue', 'red']));
    const recorded = materialiseWorkload(trace, { ...BASE, resample: 'none' }, 1, 0);
    expect([recorded.tenants, tenantsOf(recorded)]).toEqual([
      ['red', 'blue'],
      [0, 1, 0],
    ]);
    const mixed = materialiseWorkload(trace, { ...BASE, resample: 'none', tenants: [{ name: 'only', share: 1, class: 'batch' }] }, 1, 0);
    expect([mixed.tenants, tenantsOf(mixed), mixed.queueClass(0)]).toEqual([['only'], [0, 0, 0], 'batch']);
  });

  it('shares that miss 1 by rounding leave nobody out', () => {
    const mix = new TenantMix(fixtureTrace(sessions([undefined])), {
      salt: 'perTenant',
      tenants: [...Array.from({ length: 10 }, (_, i) => ({ name: `t${i}`, share: 0.1 })), { name: 'none', share: 0 }],
    });
    const last = { double: () => 1 - 2 ** -53 };
    expect(mix.of(0, () => last as never)).toBe(9);
  });
});

describe('salts', () => {
  const shared = { ...BASE, resample: 'none', sharing: 'tools+system' } as const;
  const trace = (idScope: 'session' | 'file') => fixtureTrace(sessions(['red', 'blue', 'red']), { idScope });

  it.each([
    ['session', 4],
    ['file', 8],
  ] as const)('ids of scope %s: two tenants never share a block, two sessions of one tenant do', (idScope, blocks) => {
    const salted = materialiseWorkload(trace(idScope), shared, 1, 0);
    expect([common(salted, 0, 2), common(salted, 0, 1)]).toEqual([blocks, 0]);
    const unsalted = materialiseWorkload(trace(idScope), { ...shared, salt: 'shared' }, 1, 0);
    expect([common(unsalted, 0, 2), common(unsalted, 0, 1)]).toEqual([blocks, blocks]);
    expect(unsalted.hash).toBe(salted.hash);
  });

  it('tenants that write the same salt are one domain, whatever the others are called', () => {
    const mix = new TenantMix(trace('file'), {
      salt: 'perTenant',
      tenants: [
        { name: 'a', share: 0.25, salt: 'c' },
        { name: 'b', share: 0.25, salt: 'c' },
        { name: 'c', share: 0.5 },
      ],
    });
    expect([mix.domains, mix.domain(0), mix.domain(1), mix.domain(2)]).toEqual([2, 0, 0, 1]);
  });

  it('say nothing about what is drawn: other salts, same identity; other shares, another one', () => {
    const tenants = [
      { name: 'a', share: 0.5 },
      { name: 'b', share: 0.5 },
    ];
    const hash = (choice: Partial<WorkloadOptions>) => materialiseWorkload(trace('file'), { ...BASE, ...choice }, 1, 0).hash;
    expect(hash({ tenants: tenants.map((t) => ({ ...t, salt: 'x' })) })).toBe(hash({ tenants }));
    expect(
      hash({
        tenants: [
          { name: 'a', share: 0.4 },
          { name: 'b', share: 0.6 },
        ],
      }),
    ).not.toBe(hash({ tenants }));
    expect(hash({})).not.toBe(hash({ tenants }));
  });
});
