/** What the step timer is asked about a step that computes prompt tokens. */
import { widened } from '../../../control/widened.ts';
import type { StepBatch } from '../step-timer.ts';
import type { Scheduler } from './scheduler.ts';
import type { StepItems } from './step-items.ts';

/** Describes the step just scheduled, which gives `items` their tokens and which the decode set has counted already. Cost O(items outside the decode set). */
export function fillBatch(batch: StepBatch, scheduler: Scheduler, items: StepItems): void {
  const { slots, decode } = scheduler;
  let seqs = decode.count;
  let kv = decode.kvTokens - seqs;
  let longest = seqs > 0 ? decode.maxKvTokens - 1 : 0;
  let chunks = 0;
  batch.promptTails = 0;
  batch.promptTailKvTokens = 0;
  for (let i = 0; i < items.count; i++) {
    const n = items.tokens[i]!;
    const s = items.slot[i]!;
    const resident = items.from[i]!;
    if (n === 1) {
      seqs++;
      kv += resident;
      if (resident < slots.prompt[s]!) {
        batch.promptTails++;
        batch.promptTailKvTokens += resident;
      }
      if (resident > longest) longest = resident;
      continue;
    }
    if (chunks === batch.chunkTokens.length) {
      batch.chunkTokens = widened(batch.chunkTokens, 2 * batch.chunkTokens.length);
      batch.chunkResident = widened(batch.chunkResident, 2 * batch.chunkResident.length);
    }
    batch.chunkTokens[chunks] = n;
    batch.chunkResident[chunks++] = resident;
  }
  batch.decodeSeqs = seqs;
  batch.decodeKvTokens = kv;
  batch.maxDecodeKvTokens = longest;
  batch.chunkCount = chunks;
}
