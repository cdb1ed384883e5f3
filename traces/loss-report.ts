/** What a conversion cannot carry over, counted before anything is written. */
import { STOPS, type Trace } from './columns.ts';

/** One kind of loss: `count` of `of` things are dropped or approximated. */
export interface Loss {
  readonly what: string;
  readonly count: number;
  readonly of: number;
  /** What it means for later use. */
  readonly effect: string;
}

export type ConvertTarget = 'kvcast' | 'agentic-mooncake';

/** Losses with a count above zero. Cost O(requests). */
export function lossReport(trace: Trace, target: ConvertTarget, pauses: 'recorded' | 'debiased'): Loss[] {
  const rows = target === 'kvcast' ? kvcastLosses(trace) : agenticLosses(trace, pauses);
  return rows.filter((row) => row.count > 0);
}

function kvcastLosses(trace: Trace): Loss[] {
  const { requestCount } = trace;
  return [
    {
      what: 'capture types dropped',
      count: count(trace.request.captureType, (x) => x < 2),
      of: requestCount,
      effect: 'hygiene: bias by type impossible after this',
    },
  ];
}

function agenticLosses(trace: Trace, pauses: 'recorded' | 'debiased'): Loss[] {
  const { requestCount, agentCount, sessionCount, agent, request, session, strings } = trace;
  const zero = count(request.outTokens, (x) => x === 0);
  const biased = count(request.debiasedMs, (x) => !Number.isNaN(x));
  let sized = 0;
  for (let a = 0; a < agentCount; a++) if (agent.toolTokens[a]! + agent.systemTokens[a]! > 0) sized++;
  const paused = count(request.pauseMs, (x) => !Number.isNaN(x));
  const hints = [...trace.sessionHints.values()].filter((h) => Object.keys(h).some((k) => k !== 'strictPriority')).length;
  const unknown = STOPS.indexOf('unknown');
  return [
    { what: 'tools + system sizes dropped', count: sized, of: agentCount, effect: 'sharing: tools impossible after this' },
    {
      what: 'stop reason dropped',
      count: count(request.stop, (x) => x !== unknown),
      of: requestCount,
      effect: 'pause kinds become unknown',
    },
    { what: 'zero output written as 1', count: zero, of: requestCount, effect: `${zero} output tokens added` },
    {
      what: `pauses written ${pauses}`,
      count: biased > 0 ? paused : 0,
      of: paused,
      effect: pauses === 'debiased' ? 'recorded pauses not kept' : 'de-biased pauses not kept',
    },
    { what: 'start times dropped', count: requestCount, of: requestCount, effect: 'starts follow from edges and response times' },
    {
      what: 'first-token times dropped',
      count: count(request.ttftMs, (x) => !Number.isNaN(x)),
      of: requestCount,
      effect: 'provenance only',
    },
    {
      what: 'capture types dropped',
      count: count(request.captureType, (x) => x < 2),
      of: requestCount,
      effect: 'hygiene: bias by type impossible',
    },
    { what: 'agent types dropped', count: count(agent.type, (x) => x >= 0), of: agentCount, effect: 'names only' },
    {
      what: 'ids made local to a session',
      count: trace.header.idScope === 'file' ? sessionCount : 0,
      of: sessionCount,
      effect: 'sharing between sessions is lost',
    },
    {
      what: 'tenants dropped',
      count: count(session.tenant, (x) => strings[x] !== 'default'),
      of: sessionCount,
      effect: 'one salt for all',
    },
    { what: 'session hints dropped', count: hints, of: sessionCount, effect: 'policies see no hints' },
    { what: 'request hints dropped', count: trace.requestHints.size, of: requestCount, effect: 'policies see no hints' },
    { what: 'tool spans dropped', count: trace.requestTools.size, of: requestCount, effect: 'pauses keep their length' },
  ];
}

function count(column: ArrayLike<number>, test: (x: number) => boolean): number {
  let n = 0;
  for (let i = 0; i < column.length; i++) if (test(column[i]!)) n++;
  return n;
}

/** The table as text, at most 100 columns; empty for no losses. */
export function lossText(losses: readonly Loss[]): string {
  if (losses.length === 0) return 'loss  none\n';
  const number = (n: number): string => n.toLocaleString('en-US');
  const row = (what: string, n: string, of: string, effect: string): string =>
    `${what.padEnd(30)}${n.padStart(9)}${of.padStart(7)}  ${effect}`;
  const lines = [row('loss', 'count', 'of', `${'effect'.padEnd(17)}(--strict: nothing written, exit 3)`)];
  for (const { what, count, of, effect } of losses) lines.push(row(`  ${what}`, number(count), number(of), effect));
  return `${lines.join('\n')}\n`;
}
