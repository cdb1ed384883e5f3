/** The two readings of Continuum's time to live: the paper's rule and what the released code is reported to do. */
import { log } from '../math.ts';
import type { Millis, PauseKind } from '../ports.ts';
import { NO_STAKES, type Stakes, type TtlEstimator } from './gap-estimators.ts';
import { GapWindow } from './gap-window.ts';

/** Waits of returns to a lost cache that the mean is taken over. */
const QUEUE_WINDOW = 256;
/** Samples above which an empirical distribution is used instead of a wider one or the prior. */
const MIN_SAMPLES = 100;
const MAX_TOOLS = 1024;

/** Pauses by tool, and the tools of open pauses. */
class ToolGaps {
  readonly all = new GapWindow();
  readonly #byTool = new Map<string, GapWindow>();
  readonly #open = new Map<number, string | undefined>();

  of(toolName: string): GapWindow | undefined {
    return this.#byTool.get(toolName);
  }

  began(id: number, pause: PauseKind, toolName: string | undefined): void {
    if (pause === 'tool') this.#open.set(id, toolName);
  }

  ended(id: number, gapMs: Millis): void {
    if (!this.#open.has(id)) return;
    const toolName = this.#open.get(id);
    this.#open.delete(id);
    this.all.add(gapMs, false);
    if (toolName === undefined) return;
    let window = this.#byTool.get(toolName);
    if (window === undefined) {
      if (this.#byTool.size >= MAX_TOOLS) return;
      window = new GapWindow();
      this.#byTool.set(toolName, window);
    }
    window.add(gapMs, false);
  }

  censored(id: number): void {
    this.#open.delete(id);
  }
}

/**
 * `continuum-paper`: B = eta T_queue + C_miss; tau = argmax of F(tau) B - tau over 0 and the observed pauses; before there are
 * 100 samples F is Exp(1), so tau = ln B. T_queue = mean over the last 256 returns to a lost cache, 0 while there are none. It charges tau
 * although the pin ends at the return. A tool without a name counts as any of them. Seconds inside, as in the paper.
 * Source: Continuum (arXiv 2511.02230) as stated in retention specification 8.2. Censored pauses are left out, as there.
 */
export class ContinuumPaperEstimator implements TtlEstimator {
  readonly name = 'continuum-paper';
  readonly learns = true;
  readonly #gaps = new ToolGaps();
  readonly #turns = new TurnsLeft();
  readonly #waits = new GapWindow(QUEUE_WINDOW);
  readonly #capMs: Millis;

  constructor(capMs: Millis = 3_600_000) {
    this.#capMs = capMs;
  }

  ttlMs(pause: PauseKind, toolName: string | undefined, _nowMs: Millis, stakes: Stakes = NO_STAKES): Millis {
    if (pause !== 'tool') return 0;
    const queueMs = this.#waits.recentMean(QUEUE_WINDOW) ?? 0;
    const benefitS = (this.#turns.eta * queueMs + stakes.missMs) / 1000;
    const tool = toolName === undefined ? undefined : this.#gaps.of(toolName);
    const window = tool !== undefined && tool.ends > MIN_SAMPLES ? tool : this.#gaps.all;
    const tauMs = window.ends > MIN_SAMPLES ? bestFullCharge(window.gaps(false), benefitS * 1000) : benefitS > 1 ? log(benefitS) * 1000 : 0;
    return Math.min(tauMs, this.#capMs);
  }

  began(id: number, pause: PauseKind, toolName: string | undefined): void {
    this.#gaps.began(id, pause, toolName);
  }

  ended(id: number, gapMs: Millis): void {
    this.#gaps.ended(id, gapMs);
  }

  censored(id: number): void {
    this.#gaps.censored(id);
  }

  programEnded(responses: number): void {
    this.#turns.add(responses);
  }

  queued(waitMs: Millis): void {
    this.#waits.add(waitMs, false);
  }
}

/** argmax of F(tau) benefit - tau over 0 and the ascending samples, the smallest on ties; F the empirical distribution. Cost O(n). */
export function bestFullCharge(sorted: Float64Array, benefit: number): number {
  let hold = 0;
  let gain = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (i + 1 < sorted.length && sorted[i + 1] === sorted[i]) continue;
    const j = ((i + 1) / sorted.length) * benefit - sorted[i]!;
    if (j > gain) {
      gain = j;
      hold = sorted[i]!;
    }
  }
  return hold;
}

/** eta = -Corr(k, N - k) over the turns k = 1..N of finished programs; 1 while there are none. */
export class TurnsLeft {
  #n = 0;
  #k = 0;
  #left = 0;
  #kk = 0;
  #leftLeft = 0;
  #kLeft = 0;

  /** Adds a finished program of `turns` turns. Cost O(1). */
  add(turns: number): void {
    const k = (turns * (turns + 1)) / 2;
    const kk = (turns * (turns + 1) * (2 * turns + 1)) / 6;
    this.#n += turns;
    this.#k += k;
    this.#left += (turns * (turns - 1)) / 2;
    this.#kk += kk;
    this.#leftLeft += ((turns - 1) * turns * (2 * turns - 1)) / 6;
    this.#kLeft += turns * k - kk;
  }

  get eta(): number {
    const n = this.#n;
    const spread = (n * this.#kk - this.#k * this.#k) * (n * this.#leftLeft - this.#left * this.#left);
    return spread > 0 ? -(n * this.#kLeft - this.#k * this.#left) / Math.sqrt(spread) : 1;
  }
}

/** Longest mean duration of a tool that `continuum-code` waits for, and the time it then keeps, ms. */
const CODE_THRESHOLD_MS = 2000;
const CODE_WINDOW = 32;

/**
 * `continuum-code`: mean of the tool's last 32 pauses (of all tools', where it has no name) at most 2.0 s: keep 2.0 s, else nothing.
 * Unverified upstream.
 */
export class ContinuumCodeEstimator implements TtlEstimator {
  readonly name = 'continuum-code';
  readonly learns = true;
  readonly #gaps = new ToolGaps();

  ttlMs(pause: PauseKind, toolName: string | undefined): Millis {
    if (pause !== 'tool') return 0;
    const window = toolName === undefined ? this.#gaps.all : this.#gaps.of(toolName);
    const mean = window?.recentMean(CODE_WINDOW);
    return mean !== undefined && mean <= CODE_THRESHOLD_MS ? CODE_THRESHOLD_MS : 0;
  }

  began(id: number, pause: PauseKind, toolName: string | undefined): void {
    this.#gaps.began(id, pause, toolName);
  }

  ended(id: number, gapMs: Millis): void {
    this.#gaps.ended(id, gapMs);
  }

  censored(id: number): void {
    this.#gaps.censored(id);
  }

  programEnded(): void {}
}
