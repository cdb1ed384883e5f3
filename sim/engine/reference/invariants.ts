/** Invariants E1 to E12 of engine specification 9.2 on the reference worker. */
import type { BlockKey, BlockPool } from './block-pool.ts';
import type { ReferenceWorker } from './reference-worker.ts';
import type { SchedulerRequest } from './request.ts';

/** Throws `E<n>: …` if conservation is broken. `deep` walks every block, copy and slot: O(N + requests x blocks). */
export function checkInvariants(worker: ReferenceWorker, deep: boolean): void {
  const { scheduler, config } = worker;
  const { pool, running, waiting, holding } = scheduler;
  hold(pool.free + pool.referenced === pool.usable, 'E1', `${pool.free} free + ${pool.referenced} referenced of ${pool.usable}`);
  const live = running.length + waiting.length + holding.length;
  hold(live === worker.served.size, 'E4', `${live} in queues, ${worker.served.size} alive`);
  hold(worker.submitted === worker.served.size + worker.terminal, 'E4', 'submitted = alive + terminal');
  hold(running.length <= config.maxSeqs, 'E7', `${running.length} running of ${config.maxSeqs}`);
  if (!deep) return;
  checkBlocks(worker);
  checkCache(pool);
  checkRequests(worker);
  checkHost(worker);
}

/** E1: every block is free or referenced by as many holders as it says. */
function checkBlocks(worker: ReferenceWorker): void {
  const { pool, running, waiting, holding } = worker.scheduler;
  const holders = new Map<number, number>();
  const count = (blocks: readonly number[]) => {
    for (const block of blocks) holders.set(block, (holders.get(block) ?? 0) + 1);
  };
  for (const request of [...running, ...waiting, ...holding]) count(request.blocks);
  for (const served of worker.lingering.values()) count(served.request.blocks);
  count(worker.host?.heldBlocks() ?? []);
  for (let block = 1; block < pool.blocks; block++) {
    const refs = holders.get(block) ?? 0;
    hold(pool.refs[block] === refs, 'E1', `block ${block} has ${pool.refs[block]} references, ${refs} holders`);
    hold(pool.queue.has(block) === (refs === 0), 'E1', `block ${block} with ${refs} holders, in the queue: ${pool.queue.has(block)}`);
  }
  const queue = pool.queue.toArray();
  const firstCached = queue.findIndex((block) => pool.keys[block] !== -1);
  const isSplit = firstCached < 0 || queue.slice(firstCached).every((block) => pool.keys[block] !== -1);
  hold(isSplit || worker.config.rules === '0.27', 'E1', 'free queue is not [hash-less][cached]');
}

/** E3: keys and copies mirror each other; claims lie on cached blocks. */
function checkCache(pool: BlockPool): void {
  let cached = 0;
  for (const [key, copies] of pool.copies) {
    hold(copies.length > 0 && new Set(copies).size === copies.length, 'E3', `copies of ${key}: ${copies}`);
    for (const block of copies) hold(pool.keys[block] === key, 'E3', `block ${block} holds ${pool.keys[block]}, listed under ${key}`);
    cached += copies.length;
  }
  hold(cached === pool.cached, 'E3', `${cached} copies, ${pool.cached} counted`);
  hold(pool.keys.filter((key) => key !== -1).length === cached, 'E3', 'a block holds content that no list knows');
  for (const marked of [pool.claims, pool.references, pool.levels, pool.garbage]) {
    for (const block of marked.keys()) hold(pool.keys[block] !== -1, 'E3', `claim or mark on hash-less block ${block}`);
  }
  for (const block of [...pool.afterClaim, ...pool.dropAtRelease]) hold(pool.keys[block] !== -1, 'E3', `hash-less block ${block}`);
  for (const block of [...pool.garbage.keys(), ...pool.dropAtRelease]) {
    const isMarked = pool.claims.has(block) || pool.references.has(block) || pool.levels.has(block);
    hold(!isMarked, 'E3', `garbage ${block} carries a mark`);
  }
  for (const block of pool.dropAtRelease) hold(pool.refs[block]! > 0, 'E3', `block ${block} should have been dropped`);
}

/** E2, E4, E5, E7 per request. */
function checkRequests(worker: ReferenceWorker): void {
  const { config, scheduler } = worker;
  const { running, waiting, holding } = scheduler;
  hold(new Set([...running, ...waiting, ...holding]).size === worker.served.size, 'E4', 'a request is in two queues');
  for (const request of running) {
    hold(request.state === 'running', 'E4', `request ${request.id} runs in state ${request.state}`);
    checkTable(request, config.blockTokens, config.prefixCaching, scheduler.pool);
  }
  for (const request of waiting) {
    hold(request.blocks.length === 0 && request.computed === 0, 'E2', `waiting request ${request.id} holds blocks`);
  }
  for (const request of holding) hold(request.restore !== null, 'E4', `request ${request.id} holds KV without a load`);
  for (const { request } of worker.served.values()) {
    const limit = Math.min(request.maxTokens, request.stopAt, config.maxModelLen - request.promptTokens);
    hold(request.out < limit, 'E5', `request ${request.id} lives with ${request.out} of ${limit} tokens`);
  }
}

function checkTable(request: SchedulerRequest, blockTokens: number, caching: boolean, pool: BlockPool): void {
  const needed = Math.ceil(request.computed / blockTokens);
  hold(request.blocks.length >= needed, 'E2', `request ${request.id} covers ${request.blocks.length} of ${needed} blocks`);
  if (!caching) return;
  const full = Math.floor(Math.min(request.computed - request.placeholders, request.len) / blockTokens);
  for (let i = 0; i < full; i++) {
    const key: BlockKey = pool.keys[request.blocks[i]!]!;
    hold(key === request.keyOf(i), 'E2', `request ${request.id} block ${i} holds ${key}`);
  }
}

/** E11: slots fit, what is read or written is there. */
function checkHost(worker: ReferenceWorker): void {
  const { host } = worker;
  if (host === null) return;
  const { tier } = host;
  hold(tier.slots.size <= tier.capacity, 'E11', `${tier.slots.size} slots of ${tier.capacity}`);
  const pins = new Map<BlockKey, number>();
  for (const key of host.pinnedKeys()) pins.set(key, (pins.get(key) ?? 0) + 1);
  const writing = new Set(host.writingKeys());
  for (const [key, slot] of tier.slots) {
    hold(slot.pins === (pins.get(key) ?? 0), 'E11', `host block ${key} has ${slot.pins} pins`);
    hold(slot.ready !== writing.has(key), 'E11', `host block ${key} ready ${slot.ready}`);
  }
  for (const key of pins.keys()) hold(tier.isReady(key), 'E11', `host block ${key} is read but gone`);
}

function hold(condition: boolean, id: string, detail: string): void {
  if (!condition) throw new Error(`${id}: ${detail}`);
}
