import type { Millis, PauseKind } from '../ports.ts';
import type { TtlEstimator } from './gap-estimators.ts';
import { GapWindow } from './gap-window.ts';
import { PauseClasses } from './pause-classes.ts';
import { firstAbove } from './survival-curve.ts';

interface Class {
  readonly window: GapWindow;
  sorted: Float64Array;
  /** Sum of sorted[i..]. */
  sums: Float64Array;
  seen: number;
}

const MAX_CLASSES = 1024;
/** A class is sorted anew after so many further pauses. */
const REFIT = 16;

/** How long a pause of a known age will go on: E[G | G > age] - age over the latest 1,024 pauses of its tool, else of its kind. */
export class RestEstimator implements TtlEstimator {
  readonly name = 'rest';
  readonly learns = true;
  readonly #classes = new Map<string, Class>();
  readonly #open = new Map<number, readonly string[]>();
  readonly #names = new PauseClasses(classesOf);

  /** Rest of a pause; undefined while no pause of its kind was as long. Cost O(log pauses). */
  restMs(pause: PauseKind, toolName: string | undefined, ageMs: Millis): Millis | undefined {
    for (const name of this.#names.of(pause, toolName)) {
      const one = this.#classes.get(name);
      if (one === undefined) continue;
      if (one.seen === 0 || one.window.seen - one.seen >= REFIT) fit(one);
      const at = firstAbove(one.sorted, ageMs);
      if (at < one.sorted.length) return one.sums[at]! / (one.sorted.length - at) - ageMs;
    }
    return undefined;
  }

  ttlMs(pause: PauseKind, toolName: string | undefined): Millis {
    return this.restMs(pause, toolName, 0) ?? 0;
  }

  began(id: number, pause: PauseKind, toolName: string | undefined): void {
    this.#open.set(id, this.#names.of(pause, toolName));
  }

  ended(id: number, gapMs: Millis): void {
    for (const name of this.#open.get(id) ?? []) {
      let one = this.#classes.get(name);
      if (one === undefined) {
        if (this.#classes.size >= MAX_CLASSES) continue;
        one = { window: new GapWindow(), sorted: new Float64Array(), sums: new Float64Array(), seen: 0 };
        this.#classes.set(name, one);
      }
      one.window.add(gapMs, false);
    }
    this.#open.delete(id);
  }

  censored(id: number): void {
    this.#open.delete(id);
  }

  programEnded(): void {}
}

function classesOf(pause: PauseKind, toolName: string | undefined): readonly string[] {
  return toolName === undefined ? [`kind:${pause}`] : [`tool:${pause}:${toolName}`, `kind:${pause}`];
}

function fit(one: Class): void {
  one.sorted = one.window.gaps(false);
  one.sums = new Float64Array(one.sorted.length + 1);
  for (let i = one.sorted.length - 1; i >= 0; i--) one.sums[i] = one.sums[i + 1]! + one.sorted[i]!;
  one.seen = one.window.seen;
}
