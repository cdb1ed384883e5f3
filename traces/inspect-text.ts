/** The text of `kvcast trace inspect`: at most 100 columns, answer first. */

import { isSessionTable, type TraceInspection } from './inspect.ts';
import type { GlobalZeroLatency } from './inspection/global-zero-latency.ts';
import type { Finding } from './inspection/hygiene.ts';
import type { SessionZeroLatency } from './inspection/session-zero-latency.ts';
import type { Quantiles } from './inspection/shape.ts';

const WIDTH = 100;
const INDENT = ' '.repeat(11);
const BARS = '▁▂▃▄▅▆▇█';

/** Ends with a newline. */
export function inspectionText(x: TraceInspection): string {
  const table = x.zeroLatency;
  const lines = [
    headline(x),
    ...identityLines(x),
    ...shapeLines(x),
    reuseLine(x),
    ...(isSessionTable(table) ? sessionCurve(table) : globalCurves(table)),
    ...loadLines(x),
    ...hygieneLines(x),
    ...flow('Cannot tell: ', ' '.repeat(13), x.cannotTell, ' · '),
  ];
  return `${lines.join('\n')}\n`;
}

function headline(x: TraceInspection): string {
  const { identity: i } = x;
  const requests = i.rootRequests === i.sessions && i.subAgents === 0 ? '' : `${count(i.sessions)} sessions, `;
  const kind = i.subAgents > 0 ? 'root requests' : 'requests';
  return `${i.format}: ${requests}${count(i.rootRequests)} ${kind}, ${amount(i.inTokens)} input tokens, ${(100 * x.reuse.infinite).toFixed(2)} % of them reusable.`;
}

function identityLines(x: TraceInspection): string[] {
  const { identity: i } = x;
  const origin = i.source.format === i.format ? [] : [`from ${i.source.format}`];
  const facts = [
    ...origin,
    `block ${i.blockTokens}`,
    i.idScope === 'session' ? 'ids per session' : 'ids per file',
    i.partialTail === 'none' ? 'no partial ids' : 'last id names the partial block',
    `times ${duration(i.quantumMs)}${i.quantumMs === 1000 && i.subAgents > 0 ? ' (nested 1 ms)' : ''}`,
    ...(i.licence === null ? [] : [i.licence]),
  ];
  const agents = `${count(i.subAgents)} sub-agents in ${count(i.sessionsWithSubAgents)} sessions with ${count(i.subAgentRequests)} requests`;
  const more = [
    ...(i.subAgents > 0 ? [agents] : []),
    `output ${amount(i.outTokens)} tokens`,
    i.spanMs === null ? 'no arrival times' : `arrivals over ${duration(i.spanMs)}`,
  ];
  return [...flow('Identity   ', INDENT, facts, ' · '), ...flow(INDENT, INDENT, more, ' · ')];
}

function shapeLines(x: TraceInspection): string[] {
  const { shape } = x;
  const row = (label: string, q: Quantiles | null, withMax: boolean): string[] => {
    if (q === null) return [];
    const cells = [plain(q.p10).padStart(29 - 21), plain(q.p50).padStart(9), plain(q.p90).padStart(10), plain(q.p99).padStart(10)];
    return [`  ${label.padEnd(19)}${cells.join('')}${(withMax ? plain(q.max) : '').padStart(9)}${plain(q.mean).padStart(10)}`];
  };
  const single = shape.requestsPerSession?.max === 1;
  return [
    'Shape (root)              P10      P50       P90       P99      max      mean',
    ...(single ? [] : row('requests / session', shape.requestsPerSession, true)),
    ...row('input / request', shape.input, false),
    ...row('output / request', shape.output, false),
  ];
}

function reuseLine(x: TraceInspection): string {
  const { reuse } = x;
  const parts = [
    ...(reuse.previousTurn === null ? [] : [`previous turn ${(100 * reuse.previousTurn).toFixed(2)} %`]),
    `infinite cache ${(100 * reuse.infinite).toFixed(2)} %`,
    `${reuse.readsPerWrite.toFixed(1)} reads per write`,
    reuse.previousTurn === null ? `${count(reuse.uniqueBlocks)} distinct blocks` : `${count(reuse.breaks)} breaks`,
  ];
  return `Reuse      ${parts.join(' · ')}`;
}

const SHOWN_S = [1, 5, 10, 30, 60, 300, 900, 3600];

function sessionCurve(table: SessionZeroLatency): string[] {
  const at = (mode: 'recorded' | 'debiased'): SessionZeroLatency['ttl']['recorded'] =>
    table.ttl[mode].filter((r) => SHOWN_S.includes(r.ttlS));
  const percents = (mode: 'recorded' | 'debiased'): number[] => at(mode).map((r) => r.prevTurnHitPct);
  return [
    'TTL curve  share of input tokens kept (previous turn), R = idle KV per active KV',
    curveRow(
      'ttl',
      SHOWN_S.map((s) => duration(1000 * s).replace(' ', '')),
    ),
    curveRow(
      'debiased, %',
      percents('debiased').map((v) => v.toFixed(1)),
      bars(percents('debiased')),
    ),
    curveRow(
      'recorded, %',
      percents('recorded').map((v) => v.toFixed(1)),
      bars(percents('recorded')),
    ),
    curveRow(
      'R, debiased',
      at('debiased').map((r) => r.idlePerActive.toFixed(2)),
    ),
  ];
}

function globalCurves(table: GlobalZeroLatency): string[] {
  const share = (hits: number): number => (table.blockReferences === 0 ? 0 : (100 * hits) / table.blockReferences);
  const ttls = Object.entries(table.ttlBlockHits).filter(([s]) => Number(s) > 0);
  const caps = Object.entries(table.lruBlockHits);
  const ttlShares = ttls.map(([, hits]) => share(hits));
  const capShares = caps.map(([, hits]) => share(hits));
  return [
    'TTL curve  share of blocks hit in one global cache, recorded times',
    curveRow(
      'ttl',
      ttls.map(([s]) => duration(1000 * Number(s)).replace(' ', '')),
    ),
    curveRow(
      'blocks hit, %',
      ttlShares.map((v) => v.toFixed(1)),
      bars(ttlShares),
    ),
    'LRU curve  the same by capacity in blocks',
    curveRow(
      'capacity',
      caps.map(([c]) => `${Number(c) / 1000}k`),
    ),
    curveRow(
      'blocks hit, %',
      capShares.map((v) => v.toFixed(1)),
      bars(capShares),
    ),
  ];
}

function curveRow(label: string, cells: readonly string[], chart = ''): string {
  const body = cells.map((c, i) => c.padStart(i === 0 ? 6 : 7)).join('');
  return `  ${label.padEnd(13)}${body}${chart === '' ? '' : `   ${chart}`}`;
}

/** One bar per share in percent, eight steps of 12.5. */
function bars(percents: readonly number[]): string {
  return percents.map((v) => BARS[Math.min(7, Math.max(0, Math.ceil(v / 12.5) - 1))]).join('');
}

function loadLines(x: TraceInspection): string[] {
  const { load } = x;
  if (load === null) return [];
  const top = Math.max(...load.startsOverTime, 1);
  const dispersion = Object.entries(load.dispersion)
    .filter(([, v]) => v !== null)
    .map(([s, v]) => `${v!.toFixed(1)} at ${s} s`);
  const parts = [
    `${load.requestsPerS.toFixed(2)} requests/s`,
    ...(load.openSessions === null ? [] : [`${load.openSessions.mean.toFixed(1)} sessions open (peak ${count(load.openSessions.peak)})`]),
    ...(load.requestsInFlight === null ? [] : [`${load.requestsInFlight.mean.toFixed(1)} requests in flight`]),
    ...(dispersion.length === 0 ? [] : [`dispersion ${dispersion.join(', ')}`]),
  ];
  return [
    ...flow('Load       ', INDENT, parts, ' · '),
    `${INDENT}${bars(load.startsOverTime.map((n) => (100 * n) / top))}  starts over time`,
  ];
}

function hygieneLines(x: TraceInspection): string[] {
  const items = x.hygiene.map((f) => [f.code, findingText(f, x)] as const).filter(([, text]) => text !== '');
  if (items.length === 0) return ['Hygiene    no findings'];
  return flow(
    'Hygiene    ',
    INDENT,
    items.map(([code, text]) => `${code.padEnd(3)} ${text}`),
    '   ',
  );
}

/** What the text says about a finding; '' for those that JSON only lists. */
function findingText(f: Finding, x: TraceInspection): string {
  const n = count(f.count);
  switch (f.code) {
    case 'H1': {
      const n1 = (f.detail as Record<string, { own: number; previous: number } | undefined>)['n'];
      const figures = n1 === undefined ? '' : ` (${n1.own.toFixed(2)} > ${n1.previous.toFixed(2)})`;
      return `pause bias: pauses follow the request's own service time${figures}: debiased`;
    }
    case 'H2':
      return `${n} requests (${((100 * f.count) / x.identity.rootRequests).toFixed(1)} %) without api_time: estimated`;
    case 'H3':
      return `${n} pauses near the longest: capped?`;
    case 'H4':
      return x.identity.quantumMs === 1000 ? 'root times in whole seconds' : `times on a grid of ${duration(x.identity.quantumMs)}`;
    case 'H5':
      return 'no arrivals: set workload.arrivals';
    case 'H6':
      return f.consequence;
    case 'H7':
      return `${n} chain conflicts: reuse is approximate`;
    case 'H11':
      return `${n} model switches`;
    case 'H12':
      return `${n} zero outputs`;
    case 'H15':
      return `${n} ${f.consequence}`;
    default:
      return '';
  }
}

/** Items joined into lines of at most 100 columns. */
function flow(head: string, indent: string, items: readonly string[], joint: string): string[] {
  const lines: string[] = [];
  let line = head;
  let empty = true;
  for (const item of items) {
    if (!empty && line.length + joint.length + item.length > WIDTH) {
      lines.push(line);
      line = indent;
      empty = true;
    }
    line += empty ? item : joint + item;
    empty = false;
  }
  return [...lines, line];
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}

/** Three significant digits with k, M or G. */
function amount(n: number): string {
  for (const [unit, scale] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (n < scale) continue;
    const v = n / scale;
    return `${v.toFixed(v < 10 ? 2 : v < 100 ? 1 : 0)} ${unit}`;
  }
  return String(n);
}

/** Whole numbers from 1000 on, else at most one decimal. */
function plain(x: number): string {
  if (Math.abs(x) >= 1000) return count(Math.round(x));
  return String(Math.round(10 * x) / 10);
}

function duration(ms: number): string {
  for (const [unit, scale] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (ms < scale) continue;
    const v = ms / scale;
    return Number.isInteger(v) ? `${v} ${unit}` : `${v.toFixed(1)} ${unit}`;
  }
  return `${ms} ms`;
}
