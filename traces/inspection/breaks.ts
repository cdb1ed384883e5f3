/** Where prompts break with their predecessor: by cause, by gap and by context. Root requests. Source: trace specification 6.3 and 2.7. */
import { BREAK_CAUSES, type Trace } from '../columns.ts';
import { rounded } from './quantile.ts';

/** Share of transitions that break, up to and including `upTo`; null = no upper end. */
export interface HazardBand {
  readonly upTo: number | null;
  readonly transitions: number;
  readonly breaks: number;
  readonly rate: number;
}

export interface Breaks {
  readonly transitions: number;
  readonly breaks: number;
  readonly byCause: Readonly<Record<string, number>>;
  /** Kept tokens over tool and system tokens; breaks of agents without sizes are `undefined`. */
  readonly keptOverPrefix: Readonly<Record<string, number>>;
  /** By time from start to start, s. */
  readonly hazardByGapS: readonly HazardBand[];
  /** By input tokens of the previous request. */
  readonly hazardByContext: readonly HazardBand[];
}

const GAPS_S = [30, 60, 120, 300, 600, 1800, 3600, 14_400];
const CONTEXTS = [50_000, 100_000, 150_000, 200_000, 400_000];

/** Cost O(requests). */
export function breaksOf(trace: Trace): Breaks {
  const { request, agent, session } = trace;
  const gaps = new Bands(GAPS_S);
  const contexts = new Bands(CONTEXTS);
  const byCause: Record<string, number> = Object.fromEntries(BREAK_CAUSES.map((c) => [c, 0]));
  const kept = { '< 0.2': 0, '0.6–0.9': 0, '0.9–1.1': 0, more: 0, other: 0, undefined: 0 };
  let transitions = 0;
  let breaks = 0;
  for (let s = 0; s < trace.sessionCount; s++) {
    const root = session.agentFrom[s]!;
    const prefix = agent.toolTokens[root]! + agent.systemTokens[root]!;
    for (let r = agent.requestFrom[root]! + 1; r < agent.requestFrom[root + 1]!; r++) {
      const broken = request.breakKeptTokens[r]! >= 0;
      transitions++;
      gaps.add((request.startMs[r]! - request.startMs[r - 1]!) / 1000, broken);
      contexts.add(request.inTokens[r - 1]!, broken);
      if (!broken) continue;
      breaks++;
      byCause[BREAK_CAUSES[request.breakCause[r]!]!]! += 1;
      kept[keptBand(request.breakKeptTokens[r]! / prefix)]++;
    }
  }
  return { transitions, breaks, byCause, keptOverPrefix: kept, hazardByGapS: gaps.rows(), hazardByContext: contexts.rows() };
}

function keptBand(share: number): '< 0.2' | '0.6–0.9' | '0.9–1.1' | 'more' | 'other' | 'undefined' {
  if (!Number.isFinite(share)) return 'undefined';
  if (share < 0.2) return '< 0.2';
  if (share >= 0.6 && share < 0.9) return '0.6–0.9';
  if (share >= 0.9 && share <= 1.1) return '0.9–1.1';
  return share > 1.1 ? 'more' : 'other';
}

class Bands {
  readonly #upTo: readonly number[];
  readonly #count: number[];
  readonly #broken: number[];

  constructor(upTo: readonly number[]) {
    this.#upTo = upTo;
    this.#count = new Array<number>(upTo.length + 1).fill(0);
    this.#broken = new Array<number>(upTo.length + 1).fill(0);
  }

  add(value: number, broken: boolean): void {
    let i = 0;
    while (i < this.#upTo.length && value > this.#upTo[i]!) i++;
    this.#count[i]! += 1;
    if (broken) this.#broken[i]! += 1;
  }

  rows(): HazardBand[] {
    return this.#count.map((transitions, i) => {
      const breaks = this.#broken[i]!;
      return { upTo: this.#upTo[i] ?? null, transitions, breaks, rate: transitions === 0 ? 0 : rounded(breaks / transitions, 5) };
    });
  }
}
