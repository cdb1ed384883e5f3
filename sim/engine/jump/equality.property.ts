/** Plays seeds on both engines and tells the first difference; used by the quick and the long property test. */
import { BRANCH_PRIVATE } from '../../../control/blocks.ts';
import { EVENT_CLASS } from '../../kernel/event-class.ts';
import { createReferenceWorker } from '../reference/reference-worker.ts';
import { type CaseFlavour, firstDifference, randomCase, recordWorker, type WorkerCase, type WorkerLog } from '../worker.property.ts';
import type { Worker, WorkerParts } from '../worker.ts';
import { createJumpWorker } from './create-jump-worker.ts';

/** Plays a case; `untilMs` = observe the engine once more at this time. Also tells when it was last driven. */
function log(
  create: (parts: WorkerParts) => Worker,
  workload: WorkerCase,
  untilMs: number,
  checks: 'cheap' | 'deep',
): { log: WorkerLog; lastMs: number } {
  let lastMs = 0;
  let worker: Worker | null = null;
  const record = recordWorker(
    (parts) => {
      worker = create(parts);
      const advance = worker.advance.bind(worker);
      worker.advance = (tMs, eventClass) => {
        if (tMs > lastMs) lastMs = tMs;
        advance(tMs, eventClass);
      };
      return worker;
    },
    workload,
    checks,
  );
  // A deadline that a hit moved inherits the rounding of the hit.
  if (untilMs > lastMs) worker!.advance(untilMs + 1e-7, EVENT_CLASS.observe);
  return { log: record, lastMs };
}

/** First difference between the engines on a seed, or null. The jumping engine may fall asleep before claims without drop end. */
export function compareSeed(seed: number, flavour: CaseFlavour, checks: 'cheap' | 'deep' = 'cheap'): string | null {
  const workload = untied(randomCase(seed, flavour));
  publishSharedLeaves(workload);
  const expected = log(createReferenceWorker, workload, 0, checks);
  const got = log(createJumpWorker, workload, expected.lastMs, checks);
  return firstDifference(got.log, expected.log);
}

/**
 * Without exact times a probe at a multiple of the step time would see the one engine before and the other after a step end that
 * differs in the last bit.
 */
function untied(workload: WorkerCase): WorkerCase {
  if (Number.isInteger(workload.timer.baseMs * 8)) return workload;
  const inputs = workload.inputs.map((input) => (input.kind === 'probe' ? { ...input, tMs: input.tMs * 1.00001234 } : input));
  return { ...workload, inputs };
}

/** Makes a branch that two requests of a case continue private to neither. */
export function publishSharedLeaves({ branches, inputs }: WorkerCase): void {
  const seen = new Set<number>();
  for (const input of inputs) {
    if (input.kind !== 'submit') continue;
    const { leaf } = input.request;
    if (seen.has(leaf)) branches.flags[leaf]! &= ~BRANCH_PRIVATE;
    seen.add(leaf);
  }
}
