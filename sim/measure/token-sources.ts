/**
 * Sums over the first admissions of a run: tokens by tier that served them or by cause that they were missed for, and the three numbers
 * that operators ask for first. Plain data. Source: retention specification 12, 13; experiments specification 7.2.
 */
import { CAUSE_FLAG, CAUSES, type Cause, ROLL_UPS, type RollUp, rollUpOf } from './causes.ts';
import type { TurnCauses } from './turn-causes.ts';

/** Tokens of one group of turns. `hbm`, `host` and the roll-ups sum to `prompt`. */
export interface SourceSums extends Readonly<Record<RollUp, number>> {
  readonly prompt: number;
  readonly hbm: number;
  readonly host: number;
  /** Content that was known when the request was matched: stored before, or being computed. */
  readonly existed: number;
  /** Of it, what some tier of the chosen worker held. */
  readonly captured: number;
  /** Of it, what was served: hbm + host. */
  readonly delivered: number;
}

/** All of a run. */
export interface TokenSources extends SourceSums {
  /** Missed tokens by label; labels that did not occur are absent. They sum to `prompt - delivered`. */
  readonly causes: Readonly<Partial<Record<Cause, number>>>;
  /** Of them, tokens with a flag. */
  readonly flagged: Readonly<Record<keyof typeof CAUSE_FLAG, number>>;
  /** By kind of turn (TURN_CLASSES), kinds without an admission left out. */
  readonly kinds: Readonly<Record<string, SourceSums>>;
}

const FLAGS = Object.keys(CAUSE_FLAG) as (keyof typeof CAUSE_FLAG)[];
/** Columns of a row: causes, then these. */
const HBM = CAUSES.length;
const HOST = HBM + 1;
const HELD = HBM + 2;
const FLAGGED = HBM + 3;
const WIDTH = FLAGGED + FLAGS.length;
const ROLL_UP_OF = CAUSES.map((cause) => ROLL_UPS.indexOf(rollUpOf(cause)));
const COMPULSORY = ROLL_UPS.indexOf('compulsory');

/** Adds up judged turns by kind. */
export class SourceTally {
  readonly #kinds: readonly string[];
  readonly #sums: Float64Array;

  constructor(kinds: readonly string[]) {
    this.#kinds = kinds;
    this.#sums = new Float64Array(kinds.length * WIDTH);
  }

  reset(): void {
    this.#sums.fill(0);
  }

  /** Adds the turn of a row. Returns its avoidable tokens. Cost O(runs of the turn). */
  add(kind: number, hbmTokens: number, hostTokens: number, row: number, causes: TurnCauses): number {
    const sums = this.#sums;
    const at = kind * WIDTH;
    sums[at + HBM]! += hbmTokens;
    sums[at + HOST]! += hostTokens;
    let run = causes.first(row);
    if (run < 0) return 0;
    let avoidable = 0;
    for (; ; run++) {
      const tokens = causes.tokens(run);
      const cause = causes.cause(run);
      sums[at + cause]! += tokens;
      if (ROLL_UP_OF[cause] !== COMPULSORY) avoidable += tokens;
      if (causes.isHeldHere(run)) sums[at + HELD]! += tokens;
      for (let f = 0; f < FLAGS.length; f++) if ((causes.flags(run) & (1 << f)) !== 0) sums[at + FLAGGED + f]! += tokens;
      if (causes.isLast(run)) return avoidable;
    }
  }

  /** The sums so far, as plain data. */
  sources(): TokenSources {
    const total = new Float64Array(WIDTH);
    const kinds: Record<string, SourceSums> = {};
    this.#kinds.forEach((name, k) => {
      const row = this.#sums.subarray(k * WIDTH, (k + 1) * WIDTH);
      const sums = sumsOf(row);
      if (sums.prompt > 0) kinds[name] = sums;
      for (let c = 0; c < WIDTH; c++) total[c]! += row[c]!;
    });
    return {
      ...sumsOf(total),
      causes: Object.fromEntries(CAUSES.map((cause, c) => [cause, total[c]!] as const).filter(([, tokens]) => tokens > 0)),
      flagged: Object.fromEntries(FLAGS.map((flag, f) => [flag, total[FLAGGED + f]!])) as Record<keyof typeof CAUSE_FLAG, number>,
      kinds,
    };
  }
}

/** Sums of runs in which nothing was judged. */
export function emptySources(): TokenSources {
  return new SourceTally([]).sources();
}

function sumsOf(row: Float64Array): SourceSums {
  const rollUps = ROLL_UPS.map(() => 0);
  for (let c = 0; c < CAUSES.length; c++) rollUps[ROLL_UP_OF[c]!]! += row[c]!;
  const [hbm, host] = [row[HBM]!, row[HOST]!];
  const missed = rollUps.reduce((a, b) => a + b, 0);
  const delivered = hbm + host;
  return {
    prompt: delivered + missed,
    hbm,
    host,
    ...(Object.fromEntries(ROLL_UPS.map((name, i) => [name, rollUps[i]!])) as Record<RollUp, number>),
    existed: delivered + missed - rollUps[COMPULSORY]!,
    captured: delivered + row[HELD]!,
    delivered,
  };
}
