/**
 * How much an infinite cache would gain if sessions shared their leading tool and system blocks. Only the blocks of an agent's first
 * prompt may be shared, by id. Source: trace specification 7.3 and 8.
 *
 * The shared blocks of a session are a prefix of its first prompt, so hits follow from lengths: all shared blocks less the distinct ones.
 */
import type { Trace } from '../columns.ts';
import { percent } from './quantile.ts';

export interface SharingRow {
  readonly blockHits: number;
  readonly pct: number;
  readonly uniqueBlocks: number;
  readonly firstRequestPct: number;
}

interface Base {
  readonly hits: number;
  readonly unique: number;
  readonly inTokens: number;
  readonly firstTokens: number;
}

/** Rows by sharing level over root agents; `fleet_1` = fleet with share 1. */
export function sharingInfinite(trace: Trace, base: Base): Record<string, SharingRow> {
  const tools = new SharedPrefixes();
  const system = new SharedPrefixes();
  const fleet = new SharedPrefixes();
  const B = trace.header.blockTokens;
  for (let s = 0; s < trace.sessionCount; s++) {
    const root = trace.session.agentFrom[s]!;
    const first = trace.agent.requestFrom[root]!;
    const T = trace.agent.toolTokens[root]!;
    const both = T + trace.agent.systemTokens[root]!;
    const tenant = trace.session.tenant[s]!;
    const model = trace.request.model[first]!;
    const blocks = blocksOf(trace, first);
    const toolBlocks = Math.min(Math.floor(T / B), blocks);
    const bothBlocks = Math.min(Math.floor(both / B), blocks);
    tools.add(`${tenant} ${model} ${T}`, 0, toolBlocks);
    system.add(`${tenant} ${model} ${T}`, 0, toolBlocks);
    system.add(`${tenant} ${model} ${T} ${both}`, toolBlocks, bothBlocks);
    fleet.add(String(tenant), 0, bothBlocks);
  }
  const row = (gained: number): SharingRow => ({
    blockHits: base.hits + gained,
    pct: percent((base.hits + gained) * B, base.inTokens, 3),
    uniqueBlocks: base.unique - gained,
    firstRequestPct: percent(gained * B, base.firstTokens, 3),
  });
  return { none: row(0), tools: row(tools.gained), 'tools+system': row(system.gained), fleet_1: row(fleet.gained) };
}

/** Counts blocks whose key another session brought before. */
class SharedPrefixes {
  readonly #reached = new Map<string, number>();
  gained = 0;

  /** Blocks from..to of a session are keyed (key, position). */
  add(key: string, from: number, to: number): void {
    const reached = this.#reached.get(key) ?? from;
    this.gained += Math.max(0, Math.min(to, reached) - from);
    this.#reached.set(key, Math.max(reached, to));
  }
}

function blocksOf(trace: Trace, r: number): number {
  let sum = 0;
  for (let k = trace.request.runFrom[r]!; k < trace.request.runFrom[r + 1]!; k++) sum += trace.runLast[k]! - trace.runFirst[k]! + 1;
  return sum;
}
