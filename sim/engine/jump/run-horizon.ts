/**
 * How far a run may go without the scheduler, and how far without anybody looking.
 * Source: engine specification 6.1, 6.2; worker port (lateness of publication).
 */
import { BRANCH_PRIVATE } from '../../../control/blocks.ts';
import { lowWaterBlocks } from '../lazy-write.ts';
import type { EngineConfig } from '../worker.ts';
import { BY_BUDGET, BY_GATE, BY_ISL_GATE, BY_RESERVED, BY_WATERMARK } from './blocked.ts';
import type { DecodeRun } from './decode-run.ts';
import type { KvOutbox } from './kv-outbox.ts';
import type { Scheduler } from './scheduler.ts';
import { NONE } from './segment-columns.ts';
import type { StepCompletion } from './step-completion.ts';

/** Steps, >= 1, that the decode set may make from the step just scheduled on, while every schedule() would decide the same. */
export function runHorizon(scheduler: Scheduler, completion: StepCompletion, config: EngineConfig): number {
  const { decode, blocked, pool } = scheduler;
  // After a preemption nobody has looked at the queue; the reasons watermark and reserved change with what is free.
  if (scheduler.disturbed || blocked === BY_WATERMARK || blocked === BY_RESERVED || completion.owing) return 1;
  // What is copied ahead changes with every pass over a block of which another copy is idle.
  if (scheduler.host?.isLazy === true && config.hostAdmit === 'frequency') return 1;
  let steps = decode.remaining(decode.first) + 1;
  if (steps > 1) steps = 1 + decode.stepsWithNeed(takeable(scheduler, config), steps - 1);
  if (blocked === BY_GATE || blocked === BY_ISL_GATE || blocked === BY_BUDGET) {
    // Without chunking the reason depends on the head's hits, which evictions shorten.
    steps = config.chunkedPrefill ? gateHorizon(scheduler, steps, config.blockTokens) : 1;
    if (scheduler.evictionHelps && steps > 1) steps = 1 + decode.stepsWithNeed(pool.hashless, steps - 1);
  }
  if (scheduler.lookedUp && steps > 1) {
    // The next look-up touches what it finds again, behind the copies of this schedule().
    if (scheduler.host!.hasStoredVictims) return 1;
    // Others write to what they share, and a step that copies to the host tier may push blocks further down.
    if (scheduler.host!.lower !== null) return 1;
    if (scheduler.pendingBelow || config.storeThreshold > 1 || config.onboard === 'cheaper') return 1;
    // Every offer to the host tier moves its order, which the next look-up would see.
    if (completion.membersOffer) {
      if (decode.phaseCount[decode.completing] !== 0) return 1;
      steps = Math.min(steps, 1 + decode.stepsToCompletion(steps - 1));
    }
  }
  return steps;
}

/** Blocks that may be taken inside a run: victims that are copied below must go at their time, or be copied ahead at their time. */
function takeable({ pool, host }: Scheduler, config: EngineConfig): number {
  if (host?.isLazy === true) return Math.max(0, Math.floor(pool.hashless - lowWaterBlocks(config)));
  return pool.victims === null ? pool.free : pool.hashless;
}

/**
 * Number of steps, at most `horizon`, that a run may make while the head of the queue fails a gate: up to the step in which a member
 * would commit the block that ends the head's cached prefix. The first step is decided already, and counted by the set.
 */
function gateHorizon(scheduler: Scheduler, horizon: number, blockTokens: number): number {
  const { decode, slots, branches, waiting, running, pool } = scheduler;
  if (decode.sharedWriters === 0 || waiting.count === 0) return horizon;
  const s = waiting.head;
  const leaf = slots.leaf[s]!;
  const depth = Math.floor((slots.prompt[s]! + slots.out[s]! - 1) / blockTokens);
  const missing = pool.match(leaf, depth, depth);
  if (missing >= depth || (branches.flags[branches.at(leaf, missing + 1)]! & BRANCH_PRIVATE) !== 0) return horizon;
  let most = horizon;
  for (let m = running.head; m !== NONE; m = slots.next[m]!) {
    if (!decode.has(m) || decode.shared[m] === 0) continue;
    const steps = (missing + 1) * blockTokens - decode.computed(m) + decode.lag;
    if (steps <= 0 || steps >= most) continue;
    if (branches.commonDepth(slots.leaf[m]!, missing + 1, leaf, missing + 1) > missing) most = steps;
  }
  return most;
}

/**
 * Steps of a run up to the end that others must not miss: it publishes for the router (step `eventStep` for what is queued), or
 * offers to the host tier; the whole run if there is none.
 */
export function nextBoundary(run: DecodeRun, eventStep: number, scheduler: Scheduler, outbox: KvOutbox, membersOffer: boolean): number {
  if (outbox.urgent) return Math.min(eventStep, run.steps);
  const { decode, pool } = scheduler;
  const left = run.steps - run.scheduled;
  let next = run.steps;
  if (left > 0) next = run.scheduled + decode.stepsWithNeed(pool.hashless, left) + 1;
  return Math.min(next, otherBoundary(run, scheduler, membersOffer));
}

/** The same without regard to removals of blocks: a block that others may match is stored, or offered; at most the whole run. */
function otherBoundary(run: DecodeRun, scheduler: Scheduler, membersOffer: boolean): number {
  const { decode } = scheduler;
  const left = run.steps - run.scheduled;
  let next = run.steps;
  if (left > 0 && decode.sharedWriters > 0) next = Math.min(next, run.scheduled + decode.stepsToCompletion(left));
  if (membersOffer) {
    // The step in flight may be one that completes a block.
    const inFlight = run.scheduled > run.ended && decode.phaseCount[decode.completing] !== 0;
    next = Math.min(next, inFlight ? run.scheduled : run.scheduled + decode.stepsToCompletion(left));
  }
  return next;
}

/**
 * How far the run may go past `boundary`, the first step that evicts, while it evicts from one segment alone: up to the end of the
 * first step that needs a block of another, or that somebody else must not miss, or to the last step before a claim ends (which may
 * change who is next). `boundary` itself if it is not the eviction that bounds it.
 */
export function lateBoundary(run: DecodeRun, boundary: number, scheduler: Scheduler, membersOffer: boolean): number {
  const { decode, pool } = scheduler;
  const s = pool.victim();
  if (s === NONE || boundary >= run.steps) return boundary;
  const left = run.steps - run.scheduled;
  const length = pool.to[s]! - pool.from[s]!;
  let late = run.scheduled + decode.stepsWithNeed(pool.hashless + length, left) + 1;
  late = Math.min(late, otherBoundary(run, scheduler, membersOffer));
  const expiryMs = pool.expiryBy(run.endMs(late));
  if (expiryMs !== Infinity) late = Math.min(late, run.stepsBy(expiryMs) - 1);
  return Math.max(late, boundary);
}
