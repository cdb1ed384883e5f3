import { describe, expect, it } from 'vitest';
import { BranchTable } from './blocks.ts';
import { canonicalJson, type PlaneFactory, recordPlane, replayLog } from './decision-log.ts';
import type { AttemptEnd, ControlPlane, Effects, KvAction, RouteRequest } from './ports.ts';
import { KV_STORED, KvEventBatch } from './ports.ts';
import type { UserError } from './user-error.ts';

/** A plane that remembers: dispatches to the rank that stored most of the path, pins on ended, and echoes what it was told. */
function echoPlane(effects: Effects, branches: BranchTable, weight = 1): ControlPlane {
  const depth = new Map<number, number>();
  const requests = new Map<number, RouteRequest>();
  let told = 0;
  return {
    request(request, nowMs) {
      requests.set(request.attempt, request);
      const own = branches.end(request.branch);
      effects.dispatch(request, { rank: 0, hbmBlocks: Math.min(own, depth.get(request.branch) ?? 0) * weight, lowerBlocks: 0 });
      if (request.depthBlocks === 0) effects.refuse(request, { status: 503, code: 'NO_WORKERS' });
      effects.wakeAt(nowMs / 3);
    },
    firstToken: () => void told++,
    progress: () => void told++,
    ended(attempt, _end, nowMs) {
      const r = requests.get(attempt)!;
      const action: KvAction = {
        id: told,
        verb: 'pin',
        rank: 0,
        session: r.session,
        branch: r.branch,
        fromBlocks: 0,
        toBlocks: r.depthBlocks,
        untilMs: nowMs + 0.1,
        hardness: 'soft',
        mode: 'max',
        onExpiry: 'trueLastAccess',
        tierFloor: 0,
      };
      effects.act(action);
    },
    worker: (change) => void (told += change.epoch),
    kvEvents(batch) {
      for (let i = 0; i < batch.count; i++) depth.set(batch.branch[i]!, batch.to[i]!);
    },
    report: (report) => void (told += report.waiting),
    hint: () => effects.wakeAt(Number.POSITIVE_INFINITY),
    settled: (action) => void (told += action),
    timer: (nowMs) => effects.wakeAt(nowMs + told),
  };
}

const SILENT: Effects = {
  dispatch: () => undefined,
  refuse: () => undefined,
  act: () => undefined,
  wakeAt: () => undefined,
  decided: () => undefined,
};

/** Every call of the port once, over branches of which some are never named and one grows meanwhile. */
function recorded(makePlane: PlaneFactory = echoPlane): { lines: string[]; forwarded: string[] } {
  const branches = new BranchTable();
  branches.add(-1, 0, 7);
  const root = branches.add(-1, 0, 4);
  const leaf = branches.add(root, 3, 5);
  const lines: string[] = [];
  const forwarded: string[] = [];
  const effects: Effects = {
    ...SILENT,
    dispatch: (r, p) => void forwarded.push(`${r.id}->${p.rank}:${p.hbmBlocks}`),
    act: (a) => void forwarded.push(a.verb),
  };
  const plane = recordPlane(makePlane, effects, branches, (line) => void lines.push(line));
  const request = (attempt: number, branch: number, depthBlocks: number): RouteRequest => ({
    attempt,
    id: `s0/root/${attempt}`,
    attemptNumber: 0,
    session: 0,
    sessionKey: 's0',
    tenant: 0,
    arrivalMs: 0.1 + 0.2,
    promptTokens: 64,
    branch,
    depthBlocks,
    hints: { priority: 5 },
  });
  const end: AttemptEnd = { status: 'finished', stop: 'tool', outputTokens: 3, toolNames: ['Bash'] };
  plane.worker({ rank: 0, state: 'joined', epoch: 1, key: 'w0/0' }, 0);
  const batch = new KvEventBatch();
  batch.seq = 3;
  batch.push(KV_STORED, 0, leaf, 0, 5);
  plane.kvEvents(batch, 1);
  plane.request(request(0, leaf, 8), 2);
  plane.firstToken(0, 3);
  plane.progress(0, 2, 4);
  branches.extend(leaf, 2);
  plane.request(request(1, leaf, 10), 5);
  plane.ended(0, end, 6);
  plane.settled(0, { result: 'accepted', appliedBlocks: 8, requestedBlocks: 8 }, 7);
  plane.report({ rank: 0, asOfMs: 7.5, waiting: 2, running: 1, kvUsage: 0.25 }, 8);
  plane.hint({ kind: 'sessionClosed', session: 0 }, 9);
  plane.request(request(2, -1, 0), 10);
  plane.timer(11);
  return { lines, forwarded };
}

describe('decision log', () => {
  it('replays every call of the port and finds the same effects', () => {
    const { lines, forwarded } = recorded();
    expect(forwarded).toEqual(['s0/root/0->0:5', 's0/root/1->0:5', 'pin', 's0/root/2->0:0']);
    expect(replayLog(lines, echoPlane)).toEqual({ calls: 12, effects: 10 });
  });

  it('declares a branch before its first use, with its ancestors, and again after it grew', () => {
    const { lines } = recorded();
    const branchLines = lines.filter((l) => l.startsWith('{"branch"'));
    expect(branchLines).toEqual(['{"branch":[1,-1,0,4,0]}', '{"branch":[2,1,3,5,0]}', '{"branch":[2,1,3,7,0]}']);
    expect(lines.indexOf(branchLines[1]!)).toBeLessThan(lines.findIndex((l) => l.includes('"call":"kvEvents"')));
  });

  it('is the same text when the replay is recorded again', () => {
    const first = recorded().lines;
    expect(recorded().lines).toEqual(first);
  });

  it('names the first effect that differs', () => {
    const { lines } = recorded();
    const result = replayLog(lines, (effects, branches) => echoPlane(effects, branches, 2));
    expect(result.firstDifference).toMatchObject({
      got: expect.stringContaining('"hbmBlocks":10'),
      expected: expect.stringContaining('"hbmBlocks":5'),
    });
    expect(lines[result.firstDifference!.line - 1]).toBe(result.firstDifference!.expected);
    expect(result.firstDifference!.call).toContain('"call":"request"');
  });

  it('reports effects that are missing from the replay or from the log', () => {
    const { lines } = recorded();
    const quiet: PlaneFactory = (effects, branches) => echoPlane({ ...effects, act: () => undefined }, branches);
    const missing = replayLog(lines, quiet).firstDifference!;
    expect(missing.expected).toContain('"effect":"act"');
    expect(missing.got).toBeUndefined();
    const extra = replayLog(
      lines.filter((l) => !l.includes('"effect":"act"')),
      echoPlane,
    ).firstDifference!;
    expect(extra.got).toContain('"effect":"act"');
    expect(extra.expected).toBeUndefined();
    const lastEffectCut = replayLog(lines.slice(0, -1), echoPlane).firstDifference!;
    expect(lastEffectCut.got).toContain('"effect":"wakeAt"');
  });

  it('refuses text that is no decision log, with the line', () => {
    const code = (lines: readonly string[]): string => {
      try {
        replayLog(lines, echoPlane);
      } catch (error) {
        const { code, line } = (error as UserError).problems[0]!;
        return `${code}:${line}`;
      }
      return 'none thrown';
    };
    const header = recorded().lines[0]!;
    expect(code([])).toBe('E_LOG:1');
    expect(code(['{"kvcast":"decisions","v":2}'])).toBe('E_LOG:1');
    expect(code(['{"call":"timer","tMs":1,"args":[]}'])).toBe('E_LOG:1');
    expect(code([header, '{"call":'])).toBe('E_LOG:2');
    expect(code([header, '{"call":"reboot","tMs":1,"args":[]}'])).toBe('E_LOG:2');
    expect(code([header, '[1]'])).toBe('E_LOG:2');
  });
});

describe('canonicalJson', () => {
  it('sorts keys, drops undefined and keeps what JSON loses', () => {
    expect(canonicalJson({ b: 1, a: [undefined, null, -0, Number.NaN, Number.NEGATIVE_INFINITY], c: undefined })).toBe(
      '{"a":[null,null,{"$":"-0"},{"$":"NaN"},{"$":"-Infinity"}],"b":1}',
    );
    expect(canonicalJson(2n ** 63n)).toBe('{"$":"9223372036854775808n"}');
    expect(canonicalJson({ t: new Int32Array([1, -2]), u: new BigUint64Array([2n ** 64n - 1n]) })).toBe(
      '{"t":[1,-2],"u":[{"$":"18446744073709551615n"}]}',
    );
    expect(canonicalJson(0.1 + 0.2)).toBe('0.30000000000000004');
  });
});
