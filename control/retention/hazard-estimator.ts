import type { Millis, PauseKind } from '../ports.ts';
import { merged } from './ascending.ts';
import { type CapByPause, HOST_CAP_MS, NO_STAKES, type Stakes, type TtlEstimator } from './gap-estimators.ts';
import { GapWindow } from './gap-window.ts';
import { PauseClasses } from './pause-classes.ts';
import { type ReturnWindow, returnWindow } from './return-window.ts';
import { bestHold, kaplanMeier, type SurvivalCurve } from './survival-curve.ts';

interface GapClass {
  readonly window: GapWindow;
  curve: SurvivalCurve | undefined;
  /** Pauses the window had seen when the curve was made. */
  fittedAt: number;
}

interface OpenPause {
  readonly sinceMs: Millis;
  readonly classes: readonly string[];
}

export interface HazardOptions {
  /** Most time to keep per gap class, ms. */
  readonly caps?: CapByPause;
  /** Ends a class needs before it is trusted; below, the next wider class is asked. */
  readonly minEnds?: number;
  /** A curve is made anew after this many further pauses. */
  readonly refitEvery?: number;
}

const GLOBAL = '*';
/** Distinct tool names told apart; further ones are known by their gap class only. */
const MAX_CLASSES = 1024;

/**
 * `hazard`: keep while the chance of a return in the next moment, times the cost of a miss, exceeds the rent (retention
 * specification 5.2, 8.2). Survival per tool name, else tool category, gap class, all pauses, else ski rental.
 * Open pauses count as censored at their age when a curve is made. Cost O(window) per call.
 */
export class HazardEstimator implements TtlEstimator {
  readonly name = 'hazard';
  readonly learns = true;
  readonly #caps: CapByPause;
  readonly #minEnds: number;
  readonly #refitEvery: number;
  readonly #classes = new Map<string, GapClass>();
  readonly #open = new Map<number, OpenPause>();
  readonly #names = new PauseClasses(classesOf);

  constructor(options: HazardOptions = {}) {
    this.#caps = options.caps ?? { tool: 300_000, human: 0, join: 600_000 };
    this.#minEnds = options.minEnds ?? 30;
    this.#refitEvery = options.refitEvery ?? 64;
  }

  ttlMs(pause: PauseKind, toolName: string | undefined, nowMs: Millis, stakes: Stakes = NO_STAKES): Millis {
    const { tier, fromMs = 0 } = stakes;
    const cap = pause === 'none' ? 0 : tier === 'host' ? HOST_CAP_MS : this.#caps[pause];
    if (cap === 0 || stakes.breakEvenMs === 0) return fromMs;
    const curve = this.#curveOf(pause, toolName, nowMs);
    if (curve !== undefined) return bestHold(curve, stakes.breakEvenMs, cap, fromMs).hold;
    return Math.max(fromMs, Math.min(stakes.breakEvenMs, cap));
  }

  /** Ages of a pause between which its context should be in HBM, of what its class has shown; undefined if none or not known yet. */
  window(pause: PauseKind, toolName: string | undefined, nowMs: Millis, breakEven: Millis): ReturnWindow | undefined {
    const curve = this.#curveOf(pause, toolName, nowMs);
    return curve === undefined ? undefined : returnWindow(curve, breakEven);
  }

  began(id: number, pause: PauseKind, toolName: string | undefined, nowMs: Millis): void {
    this.#open.set(id, { sinceMs: nowMs, classes: this.#names.of(pause, toolName) });
  }

  ended(id: number, gapMs: Millis): void {
    this.#close(id, gapMs, false);
  }

  censored(id: number, nowMs: Millis): void {
    const open = this.#open.get(id);
    if (open !== undefined) this.#close(id, nowMs - open.sinceMs, true);
  }

  programEnded(): void {}

  #close(id: number, gapMs: Millis, censored: boolean): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    for (const name of open.classes) {
      let gaps = this.#classes.get(name);
      if (gaps === undefined) {
        if (this.#classes.size >= MAX_CLASSES) continue;
        gaps = { window: new GapWindow(), curve: undefined, fittedAt: 0 };
        this.#classes.set(name, gaps);
      }
      gaps.window.add(gapMs, censored);
    }
  }

  /** Of the narrowest class with enough ends. */
  #curveOf(pause: PauseKind, toolName: string | undefined, nowMs: Millis): SurvivalCurve | undefined {
    for (const name of this.#names.of(pause, toolName)) {
      const gaps = this.#classes.get(name);
      if (gaps !== undefined && gaps.window.ends >= this.#minEnds) return this.#curve(name, gaps, nowMs);
    }
    return undefined;
  }

  #curve(name: string, gaps: GapClass, nowMs: Millis): SurvivalCurve {
    if (gaps.curve !== undefined && gaps.window.seen - gaps.fittedAt < this.#refitEvery) return gaps.curve;
    gaps.curve = kaplanMeier(gaps.window.gaps(false), merged(gaps.window.gaps(true), this.#openAges(name, nowMs)));
    gaps.fittedAt = gaps.window.seen;
    return gaps.curve;
  }

  /** Ages of the open pauses of a class, ascending. */
  #openAges(name: string, nowMs: Millis): Float64Array {
    const ages = new Float64Array(this.#open.size);
    // They stand in the order in which they began: filled from the end the ages ascend, unless a clock went back.
    let from = ages.length;
    let ascends = true;
    for (const { sinceMs, classes } of this.#open.values()) {
      if (!classes.includes(name)) continue;
      ages[--from] = nowMs - sinceMs;
      if (ages[from]! > ages[from + 1]!) ascends = false;
    }
    const own = ages.subarray(from);
    return ascends ? own : own.sort();
  }
}

/** From the narrowest class of a pause to the widest. */
function classesOf(pause: PauseKind, toolName: string | undefined): readonly string[] {
  if (pause !== 'tool' || toolName === undefined) return [`kind:${pause}`, GLOBAL];
  const category = toolCategory(toolName);
  const tool = `tool:${toolName}`;
  return category === undefined ? [tool, `kind:${pause}`, GLOBAL] : [tool, `category:${category}`, `kind:${pause}`, GLOBAL];
}

/** Category of a tool: the server of an MCP tool, `mcp__github__search` is of `mcp__github`; built-in tools have none. */
export function toolCategory(toolName: string): string | undefined {
  const cut = toolName.lastIndexOf('__');
  return cut > 0 ? toolName.slice(0, cut) : undefined;
}
