import { expect, it } from 'vitest';
import type { TraceSession } from '../../traces/format.ts';
import { fixtureRequest, fixtureTrace } from '../workload/fixture-trace.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import { WORKLOAD_DEFAULTS } from '../workload/workload-options.ts';
import { TurnRequest } from './turn-request.ts';

it('asks for the queue class of its session; a session of class default asks for none', () => {
  const session = (id: string, name: string): TraceSession => ({
    id,
    class: name,
    agents: [{ id: 'root', model: 'm', requests: [fixtureRequest(0, [[1, 2]])] }],
  });
  const options = { ...WORKLOAD_DEFAULTS, blockTokens: 64, contextLimit: 1e9, resample: 'none' } as const;
  const arrivals = { mode: 'open', process: 'gamma', cv: 1.2, ratePerMs: 1 / 60_000 } as const;
  const workload = materialiseWorkload(fixtureTrace([session('a', 'batch'), session('b', 'default')]), { ...options, arrivals }, 1, 0);
  const requests = [0, 1].map((turn) => new TurnRequest(workload, turn, turn, 0, 5, undefined));
  expect(requests.map((request) => [request.id, request.queueClass])).toEqual([
    [workload.turnName(0), 'batch'],
    [workload.turnName(1), undefined],
  ]);
  expect('queueClass' in requests[1]!).toBe(false);
});
