/**
 * Start times of one session in a closed loop, when every response takes a known time: the arithmetic of replay without a fleet.
 * Source: trace specification 7.1. `start(i) = max(completion(i-1), completion(last request of every joined agent) + joinDelay) + pause(i)`.
 */
import type { AgentDraft } from './session-draft.ts';

export interface ClosedLoop {
  /** Response duration of request `i` of agent `a`, ms. */
  readonly serviceMs: (a: number, i: number) => number;
  /** Client pause before request `i >= 1` of agent `a`, ms. */
  readonly pauseMs: (a: number, i: number) => number;
  /** Start of the root's first request. */
  readonly startMs: number;
  /** Earliest start of a request, ms; told the start that follows from the rules, returns the one to use. */
  readonly adjust?: (a: number, i: number, startMs: number) => number;
}

/** Starts by agent and request. Agents must be valid: parents first, edges inside the parent. Cost O(requests). */
export function closedLoopStarts(agents: readonly AgentDraft[], loop: ClosedLoop): number[][] {
  const starts: number[][] = agents.map(() => []);
  const done = agents.map(() => false);
  const children: number[][] = agents.map(() => []);
  agents.forEach((agent, a) => {
    if (agent.parent >= 0) children[agent.parent]!.push(a);
  });
  const adjust = loop.adjust ?? ((_a, _i, startMs) => startMs);
  const endOf = (a: number, i: number): number => starts[a]![i]! + loop.serviceMs(a, i);
  // A joined child depends on requests of its parent before the joining one only, so the parent can wait for it in place.
  const run = (a: number): void => {
    if (done[a]) return;
    done[a] = true;
    const agent = agents[a]!;
    for (let i = 0; i < agent.requests.length; i++) {
      let at = 0;
      if (i > 0) {
        at = endOf(a, i - 1);
        for (const c of children[a]!)
          if (agents[c]!.joinBefore === i) {
            run(c);
            at = Math.max(at, endOf(c, agents[c]!.requests.length - 1) + agents[c]!.joinDelayMs);
          }
        at += loop.pauseMs(a, i);
      } else if (agent.parent < 0) at = loop.startMs;
      else {
        const trigger = agent.spawnOn === 1 ? endOf(agent.parent, agent.spawnAfter) : starts[agent.parent]![agent.spawnAfter]!;
        at = trigger + agent.spawnDelayMs;
      }
      starts[a]![i] = adjust(a, i, at);
    }
    for (const c of children[a]!) run(c);
  };
  agents.forEach((_, a) => {
    run(a);
  });
  return starts;
}
