/** Bugs in the engines that the recordings of vLLM's scheduler must notice. Sources: engine specification 2, 11 and 13. */
import type { SeededBug } from '../seeded-bug.ts';

const SCHEDULER = 'sim/engine/reference/scheduler.ts';
const POOL = 'sim/engine/reference/block-pool.ts';
const QUEUE = 'sim/engine/reference/free-queue.ts';
const JUMP = 'sim/engine/jump/scheduler.ts';

type Change = Pick<SeededBug, 'id' | 'breaks' | 'from' | 'to'> & { readonly family?: string };

const inFile = (file: string, family: string, changes: readonly Change[]): SeededBug[] =>
  changes.map((change) => ({ suite: 'vllm', family, file, ...change }));

/** Seeded bugs of the suite vllm. */
export const VLLM_BUGS: readonly SeededBug[] = [
  ...inFile(SCHEDULER, 'm', [
    {
      id: 'hit-of-last-block',
      breaks: 'a fully cached prompt recomputes no token',
      from: 'Math.floor((request.len - 1) / this.config.blockTokens)',
      to: 'Math.floor(request.len / this.config.blockTokens)',
    },
    {
      id: 'threshold-for-one',
      breaks: 'a request alone is chunked by the threshold',
      from: 'requests <= 1',
      to: 'requests < 1',
    },
    {
      id: 'threshold-adaptive-least',
      breaks: 'the adaptive threshold is the smaller of the two',
      from: 'return Math.max(longPrefillThreshold,',
      to: 'return Math.min(longPrefillThreshold,',
    },
    {
      id: 'gate-without-idle-hits',
      breaks: 'hits in the free queue make room for the whole prompt',
      from: 'const whole = need(Math.min(request.len, maxModelLen));',
      to: 'const whole = need(Math.min(request.len, maxModelLen)) - fromQueue;',
      family: 'i',
    },
    {
      id: 'no-full-length-gate',
      breaks: 'the whole prompt need not fit',
      from: 'if (reserveFullIsl && whole',
      to: 'if (reserveFullIsl && !reserveFullIsl && whole',
    },
    {
      id: 'watermark-ignored',
      breaks: 'admission leaves no reserve',
      from: 'this.running.length > 0 ? Math.floor(watermark * blocks) : 0',
      to: '0',
    },
    {
      id: 'preempt-first',
      breaks: 'the first admitted is preempted',
      from: 'this.running.at(-1)!',
      to: 'this.running[0]!',
    },
    {
      id: 'priority-tie-last',
      breaks: 'of equal victims the last running goes',
      from: 'request.arrival > victim.arrival',
      to: 'request.arrival >= victim.arrival',
    },
    {
      id: 'skips-after-scheduled-victim',
      breaks: 'the request behind a victim that was scheduled already is passed over',
      from: 'index--;',
      to: '',
      family: 'g',
    },
    {
      id: 'preempted-to-the-back',
      breaks: 'a preempted request waits behind all others',
      from: 'else this.waiting.unshift(request);',
      to: 'else this.waiting.push(request);',
    },
    {
      id: 'admits-after-preemption',
      breaks: 'a step that preempted admits',
      from: 'if (plan.preempted.length === 0) this.#scheduleWaiting',
      to: 'this.#scheduleWaiting',
    },
    {
      id: 'chunks-without-chunking',
      breaks: 'a prompt above the budget is cut though chunking is off',
      from: 'if (below === 0 && !this.config.chunkedPrefill && whole > budget) break;',
      to: '',
    },
    {
      id: 'active-limit-ignored',
      breaks: 'max_num_active_seqs has no effect',
      from: 'settings.maxActiveSeqs ?? config.maxSeqs',
      to: 'config.maxSeqs',
    },
    {
      id: 'cached-after-execution',
      breaks: 'prompt blocks are cached a step late, so a sibling of the same step misses them',
      from: 'this.#enterFull(request, Math.min(start + n, request.len));',
      to: 'this.#enterFull(request, start);',
    },
    {
      id: 'decode-cached-late',
      breaks: 'blocks of running requests are cached a step late',
      from: 'this.#enterFull(request, Math.min(request.computed + n, request.len));',
      to: 'this.#enterFull(request, request.computed);',
    },
    {
      id: 'stale-token-dropped',
      breaks: 'the token outstanding at a preemption is lost',
      from: 'request.out++;',
      to: 'if (stale) return { waste: false, token: false, stale, finish: null };\nrequest.out++;',
    },
    {
      id: 'scheduled-past-the-end',
      breaks: 'a request whose last token is in flight takes part again',
      from: 'return request.placeholders > 0 && ',
      to: 'return request.placeholders > 9 && ',
    },
    {
      id: 'placeholders-cached',
      breaks: 'a block is cached before its sampled tokens are known',
      from: 'request.computed - request.placeholders)',
      to: 'request.computed)',
      family: 'i',
    },
  ]),
  ...inFile(POOL, 'm', [
    {
      id: 'forward-free',
      breaks: 'a table is freed head first',
      from: 'table.toReversed()',
      to: 'table.slice()',
    },
    {
      id: 'most-recent-first',
      breaks: 'the block released last is evicted first',
      from: 'else this.queue.append(block);',
      to: 'else this.queue.prepend(block);',
    },
    {
      id: 'hashless-appended',
      breaks: 'blocks without content are used after cached ones',
      from: 'else for (const block of hashless.reverse()) this.queue.prepend(block);',
      to: 'else for (const block of hashless) this.queue.append(block);',
    },
    {
      id: 'hashless-backwards',
      breaks: 'blocks without content are used again in the opposite order',
      from: 'hashless.reverse()',
      to: 'hashless',
    },
    {
      id: 'newest-duplicate',
      breaks: 'a look-up finds the newest copy',
      from: 'this.copies.get(key)?.[0] ?? -1',
      to: 'this.copies.get(key)?.at(-1) ?? -1',
    },
    {
      id: 'removed-with-last-duplicate',
      breaks: 'the removal of a copy is told only for the last one',
      from: 'this.#endMarks(block);\n    this.#options.removed(key, reason);',
      to: 'this.#endMarks(block);\n    if (copies.length === 0) this.#options.removed(key, reason);',
    },
    {
      id: 'eviction-keeps-content',
      breaks: 'evictions are not told',
      from: 'this.#forget(block, this.#evictionReason(block));\n        this.#options.totals.hbmEvictedBlocks++;',
      to: 'const { removed } = this.#options;\nthis.#options.removed = () => {};\nthis.#forget(block, this.#evictionReason(block));\nthis.#options.removed = removed;',
    },
  ]),
  ...inFile(QUEUE, 'm', [
    {
      id: 'queue-from-the-end',
      breaks: 'a fresh pool hands out the highest block first',
      from: 'this.append(block);',
      to: 'this.prepend(block);',
    },
    {
      id: 'prepend-behind-head',
      breaks: 'a block returned to the head goes second',
      from: 'this.#insertAfter(0, block);',
      to: 'this.#insertAfter(this.head(), block);',
    },
  ]),
  ...inFile(JUMP, 'm, jumping', [
    {
      id: 'jump-preempt-first',
      breaks: 'the jumping engine preempts the first admitted',
      from: 'this.fcfs ? running.tail',
      to: 'this.fcfs ? running.head',
    },
    {
      id: 'jump-gate-without-idle-hits',
      breaks: 'in the jumping engine hits in the free queue make room',
      from: 'Math.ceil(length / this.bs) - hit, 0) + idle;',
      to: 'Math.ceil(length / this.bs) - hit, 0);',
      family: 'g, jumping',
    },
    {
      id: 'jump-watermark-ignored',
      breaks: 'admission in the jumping engine leaves no reserve',
      from: 'this.running.count > 0 ? this.wm : 0',
      to: '0',
    },
    {
      id: 'jump-loses-its-place',
      breaks: 'a preempted request of the jumping engine waits behind all others',
      from: 'this.waiting.insert(s, NONE)',
      to: 'this.waiting.push(s)',
    },
    {
      id: 'jump-threshold-for-one',
      breaks: 'a request alone in the jumping engine is chunked by the threshold',
      from: 'requests <= 1',
      to: 'requests < 1',
    },
  ]),
  ...inFile('sim/engine/jump/segment-pool.ts', 'm, jumping', [
    {
      id: 'jump-removed-from-the-front',
      breaks: 'a partial eviction of the jumping engine tells the wrong blocks',
      from: 'this.outbox.removed(0, branch, low, to, reason);',
      to: 'this.outbox.removed(0, branch, from, from + to - low, reason);',
      family: 'd, jumping',
    },
  ]),
  ...inFile('sim/engine/jump/run-horizon.ts', 'e, jumping', [
    {
      id: 'jump-over-the-shortage',
      breaks: 'a run goes on after the blocks are used up',
      from: 'if (steps > 1) steps = 1 + decode.stepsWithNeed(takeable(scheduler, config), steps - 1);',
      to: '',
    },
  ]),
  ...inFile('sim/engine/jump/jump-worker.ts', 'b, jumping', [
    {
      id: 'jump-over-arrivals',
      breaks: 'a run is not cut by an arrival that fits',
      from: 'adaptive) this.cut(tMs);',
      to: 'adaptive) this.count();',
    },
  ]),
  ...inFile('sim/engine/jump/async-scheduler.ts', 'i, jumping', [
    {
      id: 'jump-past-the-end',
      breaks: 'in the jumping engine a request whose last token is in flight stays in the decode set',
      from: '- 1 - slots.out[s]! + slots.unforeseen[s]!;',
      to: '- slots.out[s]! + slots.unforeseen[s]!;',
    },
    {
      id: 'jump-foresees-stops',
      breaks: 'the jumping engine knows in advance that a stop token comes',
      from: '- 1 - slots.out[s]! + slots.unforeseen[s]!;',
      to: '- 1 - slots.out[s]!;',
    },
    {
      id: 'jump-schedules-the-last-again',
      breaks: 'in the jumping engine a prompt whose only token is in flight takes part again',
      from: 'c + 2 - unknown >=',
      to: 'c + 1 - unknown >=',
    },
    {
      id: 'jump-victim-keeps-placeholder',
      breaks: 'a preempted request of the jumping engine still counts the token it was to sample',
      from: 'slots.placeholders[s] = 0;\n  }\n\n  protected override loosen',
      to: '}\n\n  protected override loosen',
    },
  ]),
  ...inFile('sim/engine/jump/async-completion.ts', 'i, jumping', [
    {
      id: 'jump-last-block-not-cached',
      breaks: 'the block that the last step of a request completes is not cached by the jumping engine',
      from: 'scheduler.enterFull(s, slots.computed[s]! - slots.placeholders[s]!);',
      to: '',
    },
    {
      id: 'jump-stale-token-dropped',
      breaks: 'the jumping engine loses the token outstanding at a preemption',
      from: 'slots.out[s]!++;',
      to: 'if (stale) return;\nslots.out[s]!++;',
    },
  ]),
  ...inFile('sim/engine/jump/async-worker.ts', 'i, jumping', [
    {
      id: 'jump-one-step-ahead-only',
      breaks: 'the jumping engine does not run ahead from idle',
      from: 'this.begin(planned, tMs);\n        continue;',
      to: 'this.begin(planned, tMs);\n        break;',
    },
  ]),
  ...inFile('sim/engine/jump/decode-set.ts', 'i, jumping', [
    {
      id: 'jump-cached-ahead',
      breaks: 'runs of the asynchronous jumping engine cache a block before its sampled tokens are known',
      from: 'this.lag = lag;',
      to: 'this.lag = 0;',
    },
  ]),
  ...inFile('sim/engine/reference/reference-worker.ts', 'i, asynchronous', [
    {
      id: 'waits-for-the-wasted-step',
      breaks: 'an arrival is not scheduled beside the wasted step of the last request',
      from: 'if (this.scheduler.hasRequests || this.#flights.length > 0)',
      to: 'if (this.scheduler.hasRequests)',
    },
    {
      id: 'one-step-ahead-only',
      breaks: 'asynchronous scheduling does not run ahead',
      from: 'this.config.asyncDepth === 1 || this.#flights.length === 2',
      to: 'this.#flights.length > 0',
    },
  ]),
];
