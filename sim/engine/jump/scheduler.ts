/**
 * The vLLM step rules over slots and segments. One call of `schedule` decides one step; a step costs O(block crossings + prefills +
 * admissions), not O(batch): members of the decode set (decode-set.ts) are scheduled without being visited.
 *
 *     running list   d d d d d d P P      in order of admission; d = in the decode set, P = `loose`: handled one by one
 *     items          (P, tokens) …        what the step gives to loose requests, in scheduled order
 *
 * The quick path applies while everything fits and every loose request was admitted after all members of the decode set. Else the
 * step is decided request by request (`scheduleEach`), with the same effects in the same order as the stepped reference.
 * Source: engine specification 2 with 2.11; worker port.
 */
import { BRANCH_PRIVATE, type BranchTable } from '../../../control/blocks.ts';
import type { EngineConfig, WorkerCounters, WorkerSink } from '../worker.ts';
import { BY_BUDGET, BY_GATE, BY_ISL_GATE, BY_RESERVED, BY_SEQS, BY_WATERMARK, NOT_BLOCKED } from './blocked.ts';
import { BulkCrossing } from './bulk-crossing.ts';
import { DecodeSet } from './decode-set.ts';
import type { HbmPool } from './hbm-pool.ts';
import { type HostTraffic, LOADED, LOADING, PENDING_BELOW, PROMOTED } from './host-traffic.ts';
import { PREEMPTED, QUEUED, RESTORING, type RequestSlots, RUNNING, SlotList } from './request-slots.ts';
import { NONE } from './segment-columns.ts';
import { LooseSlots, StepItems } from './step-items.ts';

/** What a scheduler is built from. */
export interface SchedulerParts {
  readonly config: EngineConfig;
  readonly branches: BranchTable;
  readonly pool: HbmPool;
  readonly sink: WorkerSink;
  readonly counters: WorkerCounters;
  readonly slots: RequestSlots;
}

export class Scheduler {
  readonly slots: RequestSlots;
  readonly decode: DecodeSet;
  readonly running: SlotList;
  readonly waiting: SlotList;
  /** Requests that wait and hold KV: restoring, or restored and not admitted yet. */
  readonly holding: SlotList;
  items = new StepItems();
  blocked = NOT_BLOCKED;
  /**
   * The head asks for the blocks of one chunk and for its idle hits: it asks for less once an eviction cuts its cached prefix.
   */
  evictionHelps = false;
  /** The last schedule() preempted or failed somebody. */
  disturbed = false;
  /** End of the last executed step. */
  lastEndMs = 0;
  /** Tokens the last waiting loop had left. */
  budgetLeft = 0;
  /** The lower tier, if any. */
  host: HostTraffic | null = null;
  /** Somebody stayed in the queue after a look-up in the host tier, which touches what it finds at every schedule(). */
  lookedUp = false;
  /** Among them requests that wait for the load of another one; what they find changes with every block that is cached or evicted. */
  pendingBelow = false;
  /** Flush of preempted stores, ms; added to the next step with tokens. */
  flushMs = 0;
  /** Called for a request that ended inside schedule(). */
  onFailed: (s: number, nowMs: number) => void = () => {};
  readonly pool: HbmPool;
  readonly bulk: BulkCrossing;
  protected readonly loose: LooseSlots;
  private orders = 0;
  private tags = 0;
  private stamps = 0;
  /** Requests behind the present one that the running loop skips: it has lost count by a victim before it that had got nothing. */
  private passedOver = 0;
  protected nowMs = 0;
  private threshold = 0;
  protected budget = 0;
  readonly config: EngineConfig;
  readonly branches: BranchTable;
  private readonly sink: WorkerSink;
  private readonly counters: WorkerCounters;
  protected readonly bs: number;
  protected readonly caching: boolean;
  private readonly fcfs: boolean;
  private readonly wm: number;

  constructor(parts: SchedulerParts) {
    const { config, slots } = parts;
    this.slots = slots;
    this.running = new SlotList(slots);
    this.waiting = new SlotList(slots);
    this.holding = new SlotList(slots);
    this.loose = new LooseSlots(slots);
    this.config = config;
    this.branches = parts.branches;
    this.pool = parts.pool;
    this.sink = parts.sink;
    this.counters = parts.counters;
    this.bs = config.blockTokens;
    this.caching = config.prefixCaching;
    this.fcfs = config.policy === 'fcfs';
    this.wm = Math.floor(config.watermark * config.blocks);
    this.decode = new DecodeSet(this.slots, config.blockTokens, config.asyncDepth - 1);
    this.bulk = new BulkCrossing(this.slots, this.decode, this.pool, this.branches, this.caching);
  }

  get requests(): number {
    return this.running.count + this.waiting.count + this.holding.count;
  }

  enqueue(s: number): void {
    this.slots.state[s] = QUEUED;
    if (this.fcfs) this.waiting.push(s);
    else this.waiting.insertByKey(s);
  }

  /** Decides the next step: items, decode set (advanced by one) and queues. Empty if there are neither items nor members. */
  schedule(nowMs: number): void {
    this.nowMs = nowMs;
    this.items.count = 0;
    this.blocked = NOT_BLOCKED;
    this.evictionHelps = false;
    this.lookedUp = false;
    this.pendingBelow = false;
    this.disturbed = false;
    this.threshold = this.stepThreshold();
    this.budget = this.config.maxBatchedTokens;
    if (this.fitsWhole()) this.scheduleWhole();
    else this.scheduleEach();
    if (!this.disturbed) this.admit();
    this.budgetLeft = this.budget;
    this.host?.storeAfterSchedule(nowMs);
    if (this.decode.count > 0) this.decode.iter++;
  }

  /** A request alone (since 0.32), or adaptive: engine specification 2.11. */
  private stepThreshold(): number {
    const { longPrefillThreshold, longPrefillAdaptive, maxBatchedTokens, rules } = this.config;
    const requests = this.requests;
    if (rules !== '0.27' && requests <= 1) return 0;
    if (longPrefillThreshold <= 0 || !longPrefillAdaptive) return longPrefillThreshold;
    return Math.max(longPrefillThreshold, Math.floor(maxBatchedTokens / Math.max(requests, 1)));
  }

  /** Tokens that a loose request with `c` of them in KV asks for. */
  protected wanted(s: number, c: number): number {
    return this.capped(this.slots.prompt[s]! + this.slots.out[s]! - c);
  }

  protected capped(tokens: number): number {
    const t = this.threshold;
    return t > 0 && t < tokens ? t : tokens;
  }

  /** Whether every member and loose request gets its tokens without preemption, members first. */
  private fitsWhole(): boolean {
    const { decode, slots } = this;
    const loose = this.loose.slot;
    let budget = this.budget - decode.count;
    if (budget < 0) return false;
    let need = decode.count > 0 ? decode.phaseCount[decode.iter % this.bs]! : 0;
    if (this.loose.count > 0) {
      if (decode.count > 0 && slots.order[loose[0]!]! < decode.orderBound) return false;
      for (let i = 0; i < this.loose.count && budget > 0; i++) {
        const s = loose[i]!;
        const c = slots.computed[s]!;
        const n = Math.min(this.wanted(s, c), budget);
        const blocks = Math.ceil((c + n) / this.bs) - slots.held[s]!;
        if (blocks > 0) need += blocks;
        budget -= n;
      }
    }
    return need <= this.pool.free;
  }

  private scheduleWhole(): void {
    const { slots, decode } = this;
    const loose = this.loose.slot;
    if (decode.count > 0) this.crossDecode();
    this.budget -= decode.count;
    for (let i = 0; i < this.loose.count && this.budget > 0; i++) {
      const s = loose[i]!;
      const c = slots.computed[s]!;
      const n = Math.min(this.wanted(s, c), this.budget);
      if (n > 0) this.giveLoose(s, c, n);
    }
  }

  /** Blocks and cache entries for n more tokens of a loose request, whose blocks are known to fit. */
  private giveLoose(s: number, c: number, n: number): void {
    const { slots } = this;
    const blocks = Math.ceil((c + n) / this.bs) - slots.held[s]!;
    if (blocks > 0) {
      this.pool.take(blocks);
      slots.held[s]! += blocks;
    }
    this.enterFull(s, Math.min(c + n, slots.prompt[s]! + slots.out[s]!));
    this.items.add(s, n, c);
    this.budget -= n;
  }

  /** Schedule-time effects on blocks of the step the members take next: allocations and cache entries in running order. */
  crossDecode(): void {
    const { decode, pool } = this;
    const i = decode.iter % this.bs;
    const after = i + 1 - decode.lag;
    const j = after === this.bs ? 0 : after;
    const needs = decode.phaseCount[i]!;
    let entering = this.caching ? decode.phaseHead[j]! : NONE;
    if (needs <= pool.hashless) {
      if (needs > 0) pool.take(needs);
      for (; entering !== NONE; entering = decode.next[entering]!) this.enterMember(entering);
      return;
    }
    const { order } = this.slots;
    let taking = decode.phaseHead[i]!;
    while (taking !== NONE || entering !== NONE) {
      if (entering === NONE || (taking !== NONE && order[taking]! <= order[entering]!)) {
        pool.take(1);
        taking = decode.next[taking]!;
      } else {
        this.enterMember(entering);
        entering = decode.next[entering]!;
      }
    }
  }

  /** The block that a member completes in the step starting now enters the cache. */
  private enterMember(s: number): void {
    const { slots, pool, branches } = this;
    const block = (this.decode.computed(s) + 1 - this.decode.lag) / this.bs - 1;
    let branch = slots.leaf[s]!;
    let start = branches.start[branch]!;
    if (block < start) {
      branch = branches.at(branch, block + 1);
      start = branches.start[branch]!;
    }
    const copies = pool.copyBlocks;
    const tag = slots.tag[s]! > 0 ? slots.tag[s]! : this.tags + 1;
    slots.hint[s] = pool.enterOne(branch, block - start, slots.hint[s]!, tag);
    if (pool.copyBlocks > copies && slots.tag[s] === 0) slots.tag[s] = ++this.tags;
  }

  enterFull(s: number, tokens: number): void {
    if (!this.caching) return;
    const { slots } = this;
    const full = Math.floor(tokens / this.bs);
    if (full <= slots.entered[s]!) return;
    const tag = slots.tag[s]! > 0 ? slots.tag[s]! : this.tags + 1;
    if (this.pool.enter(slots.leaf[s]!, slots.entered[s]!, full, tag) > 0 && slots.tag[s] === 0) slots.tag[s] = ++this.tags;
    slots.entered[s] = full;
  }

  /** Step 2 of engine specification 2.1 request by request, with preemption. */
  private scheduleEach(): void {
    const { slots, running, decode, pool } = this;
    const stamp = ++this.stamps;
    this.passedOver = 0;
    let s = running.head;
    while (s !== NONE && this.budget > 0) {
      const member = decode.has(s);
      const c = member ? decode.computed(s) : slots.computed[s]!;
      const n = member ? 1 : Math.min(this.wanted(s, c), this.budget);
      if (n <= 0) {
        s = slots.next[s]!;
        continue;
      }
      const blocks = Math.ceil((c + n) / this.bs) - (member ? Math.ceil(c / this.bs) : slots.held[s]!);
      if (blocks > pool.free && !this.makeRoom(s, blocks, stamp)) break;
      if (member) {
        if (blocks > 0) pool.take(blocks);
        if (this.caching && (c + 1 - decode.lag) % this.bs === 0) this.enterMember(s);
        this.budget--;
      } else this.giveLoose(s, c, n);
      slots.stamp[s] = stamp;
      s = slots.next[s]!;
      for (; this.passedOver > 0 && s !== NONE; this.passedOver--) s = slots.next[s]!;
    }
    this.loosenUnscheduled(stamp);
  }

  /** Preempts until `blocks` are free; false if the requester itself had to go. */
  private makeRoom(s: number, blocks: number, stamp: number): boolean {
    const { slots, running, pool } = this;
    if (this.host?.cancelPrefetches(this.nowMs) && blocks <= pool.free) return true;
    while (blocks > pool.free) {
      const victim = this.fcfs ? running.tail : this.worstPriority();
      const scheduled = slots.stamp[victim] === stamp;
      if (scheduled) this.refund(victim);
      else if (slots.order[victim]! < slots.order[s]!) this.passedOver++;
      this.preempt(victim, scheduled);
      if (victim === s) return false;
    }
    return true;
  }

  private worstPriority(): number {
    const { slots, running } = this;
    let worst = running.head;
    for (let s = slots.next[worst]!; s !== NONE; s = slots.next[s]!) {
      const more = slots.priority(s) - slots.priority(worst);
      if (more > 0 || (more === 0 && slots.arrivalMs(s) > slots.arrivalMs(worst))) worst = s;
    }
    return worst;
  }

  private refund(s: number): void {
    if (this.decode.has(s)) {
      this.budget++;
      return;
    }
    this.budget += this.items.remove(s);
  }

  private preempt(s: number, scheduled: boolean): void {
    const { slots } = this;
    this.preemptOutput(s, scheduled ? 1 : 0);
    this.running.remove(s);
    this.releaseBlocks(s);
    slots.computed[s] = 0;
    slots.preemptions[s]!++;
    slots.state[s] = PREEMPTED;
    this.disturbed = true;
    this.counters.preemptions++;
    this.sink.preempted(slots.id[s]!, this.nowMs);
    if (this.host !== null) {
      const flushMs = this.host.flush(s, this.nowMs);
      if (flushMs > this.flushMs) this.flushMs = flushMs;
    }
    if (this.isHopeless(s)) this.onFailed(s, this.nowMs);
    else if (this.fcfs) this.waiting.insert(s, NONE);
    else this.waiting.insertByKey(s);
  }

  /** Whether the known tokens can never fit. */
  isHopeless(s: number): boolean {
    return Math.ceil((this.slots.prompt[s]! + this.slots.out[s]!) / this.bs) > this.pool.usable;
  }

  /** Takes a victim out of decode set or loose requests; `ahead` as in {@link leaveDecode}. */
  protected preemptOutput(s: number, ahead: number): void {
    if (this.decode.has(s)) this.leaveDecode(s, 0, ahead);
    else this.loose.remove(s);
  }

  /**
   * Takes a member out of the decode set and writes its state to the columns. `lag` = 1 if the last step counted was lost for it,
   * `ahead` = 1 if it has its blocks for a step not counted yet.
   */
  leaveDecode(s: number, lag: number, ahead: number): void {
    const { slots, decode } = this;
    const covered = decode.computed(s) + ahead;
    const c = decode.computed(s) - lag;
    slots.out[s] = slots.limit[s]! - decode.remaining(s) - lag;
    slots.computed[s] = c;
    slots.held[s] = Math.ceil(covered / this.bs);
    slots.entered[s] = this.caching ? Math.floor(covered / this.bs) : 0;
    slots.setLastToken(s, this.lastEndMs);
    if (c > slots.doneTo[s]!) slots.doneTo[s] = c;
    decode.remove(s);
  }

  /** Members that got nothing fall out of step. */
  private loosenUnscheduled(stamp: number): void {
    const { slots, decode, running } = this;
    if (decode.count === 0) return;
    for (let s = running.head; s !== NONE; s = slots.next[s]!) {
      if (slots.stamp[s] === stamp || !decode.has(s)) continue;
      this.loosen(s);
    }
  }

  /** A member that gets nothing this time is handled one by one. */
  protected loosen(s: number): void {
    this.leaveDecode(s, 0, 0);
    this.loose.add(s);
  }

  /** Frees every block of a request, tail first. */
  releaseBlocks(s: number): void {
    const { slots } = this;
    this.pool.releaseOf(slots.session[s]!, slots.leaf[s]!, slots.entered[s]!, slots.held[s]! - slots.entered[s]!, slots.tag[s]!);
    slots.held[s] = 0;
    slots.entered[s] = 0;
    slots.tag[s] = 0;
    slots.hint[s] = NONE;
  }

  /** Step 3 of engine specification 2.1 with the two queues of 2.11. */
  private admit(): void {
    if (this.holding.count > 0 && !this.admitHolding()) return;
    const { slots, running, config } = this;
    let next = this.waiting.head;
    while (this.budget > 0 && next !== NONE) {
      if (running.count >= config.maxSeqs) {
        this.blocked = BY_SEQS;
        return;
      }
      const s = next;
      next = slots.next[s]!;
      this.tryAdmit(s);
      if (this.blocked !== NOT_BLOCKED) return;
    }
  }

  /** Looks at a waiting request: admits it, starts its load, leaves it for later, or sets `blocked`. */
  private tryAdmit(s: number): void {
    const { slots, pool, config, host } = this;
    const length = slots.prompt[s]! + slots.out[s]!;
    let hit = 0;
    let idle = 0;
    let below = 0;
    let lastCached = false;
    if (this.caching) {
      const cap = Math.floor((length - 1) / this.bs);
      const matched = pool.match(slots.leaf[s]!, Math.floor(length / this.bs), cap);
      hit = Math.min(matched, cap);
      idle = pool.matchIdle;
      if (host !== null) {
        below = host.find(s, length, hit, this.nowMs);
        if (below === PENDING_BELOW) {
          this.lookedUp = true;
          this.pendingBelow = true;
          return;
        }
      }
      lastCached = below === 0 && matched > cap;
    }
    const start = (hit + below) * this.bs;
    const whole = this.capped(length - start);
    if (below === 0 && !config.chunkedPrefill && whole > this.budget) {
      this.blocked = BY_BUDGET;
      this.lookedUp = this.looksDown;
      return;
    }
    const n = below > 0 ? 0 : Math.min(whole, this.budget);
    const reserved = below > 0 ? this.reservedBlocks() : 0;
    this.blocked = this.testGates(length, start + n, hit, idle, reserved);
    if (this.blocked !== NOT_BLOCKED && host?.cancelPrefetches(this.nowMs)) {
      this.blocked = this.testGates(length, start + n, hit, idle, reserved);
    }
    if (this.blocked !== NOT_BLOCKED) {
      this.lookedUp = this.looksDown;
      this.evictionHelps = idle > 0 && (this.blocked === BY_GATE || this.looksDown);
      return;
    }
    this.waiting.remove(s);
    if (slots.preemptions[s] === 0) this.sink.matched(slots.id[s]!, this.nowMs, hit, below);
    pool.touch(slots.leaf[s]!, hit, this.nowMs);
    const held = Math.ceil((start + n) / this.bs);
    if (held > hit) pool.take(held - hit);
    slots.held[s] = held;
    slots.entered[s] = hit;
    if (below === 0) {
      this.start(s, start, n, length, start, 0, lastCached);
      return;
    }
    slots.state[s] = RESTORING;
    slots.hitHbm[s] = hit * this.bs;
    slots.hitHost[s] = below * this.bs;
    if (this.fcfs) this.holding.push(s);
    else this.holding.insertByKey(s);
    host!.load(s, hit, below, this.nowMs);
  }

  /** Restored requests go first. False if the waiting loop ends here. */
  private admitHolding(): boolean {
    const { slots, running, holding, config } = this;
    let next = holding.head;
    while (next !== NONE) {
      if (this.budget <= 0) return false;
      if (running.count >= config.maxSeqs) {
        this.blocked = BY_SEQS;
        return false;
      }
      const s = next;
      next = slots.next[s]!;
      if (slots.loaded[s] === LOADING) continue;
      const length = slots.prompt[s]! + slots.out[s]!;
      if (slots.loaded[s] === LOADED) this.promote(s, length);
      const start = slots.computed[s]!;
      const whole = this.capped(length - start);
      if (!config.chunkedPrefill && whole > this.budget) {
        this.blocked = BY_BUDGET;
        return false;
      }
      const n = Math.min(whole, this.budget);
      this.blocked = this.testGates(length, start + n, slots.held[s]!, 0, 0);
      if (this.blocked !== NOT_BLOCKED && this.host!.cancelPrefetches(this.nowMs)) {
        this.blocked = this.testGates(length, start + n, slots.held[s]!, 0, 0);
      }
      if (this.blocked !== NOT_BLOCKED) return false;
      holding.remove(s);
      const blocks = Math.ceil((start + n) / this.bs) - slots.held[s]!;
      if (blocks > 0) {
        this.pool.take(blocks);
        slots.held[s]! += blocks;
      }
      slots.loaded[s] = 0;
      // A restored prompt of exactly one block has that block in HBM and still recomputes a token of it.
      this.start(s, start, n, length, slots.hitHbm[s]!, slots.hitHost[s]!, length === this.bs);
    }
    return true;
  }

  /** A finished load becomes visible: its blocks enter the cache; at least one token is left to compute. */
  private promote(s: number, length: number): void {
    const { slots } = this;
    const loaded = slots.hitHbm[s]! + slots.hitHost[s]!;
    this.enterFull(s, loaded);
    slots.computed[s] = loaded === length ? loaded - 1 : loaded;
    slots.loaded[s] = PROMOTED;
  }

  /** Whether admission looks into the host tier. */
  private get looksDown(): boolean {
    return this.host !== null && this.config.onboard !== 'never';
  }

  /** Blocks that prefills and loads in flight still need for their known tokens. Members of the decode set have theirs. */
  private reservedBlocks(): number {
    const { slots, holding } = this;
    const loose = this.loose.slot;
    let reserved = 0;
    for (let i = 0; i < this.loose.count; i++) reserved += this.lacking(loose[i]!);
    for (let s = holding.head; s !== NONE; s = slots.next[s]!) reserved += this.lacking(s);
    return reserved;
  }

  private lacking(s: number): number {
    const { slots } = this;
    const blocks = Math.ceil((slots.prompt[s]! + slots.out[s]!) / this.bs) - slots.held[s]!;
    return Math.max(blocks, 0);
  }

  /** Gates of engine specification 2.4 for a request with `hit` blocks, matched or held. */
  private testGates(length: number, target: number, hit: number, idle: number, reserved: number): number {
    const free = this.pool.free;
    const wm = this.running.count > 0 ? this.wm : 0;
    if (this.config.reserveFullIsl) {
      const need = Math.max(Math.ceil(length / this.bs) - hit, 0) + idle;
      if (need + wm > free) return need <= free ? BY_WATERMARK : BY_ISL_GATE;
    }
    const need = Math.max(Math.ceil(target / this.bs) - hit, 0) + idle;
    if (need + wm <= free - reserved) return NOT_BLOCKED;
    if (need <= free - reserved) return BY_WATERMARK;
    return need + wm <= free ? BY_RESERVED : BY_GATE;
  }

  /** Enters a request whose blocks are allocated in the running list. Hits in tokens. */
  private start(s: number, computed: number, n: number, length: number, hitHbm: number, hitHost: number, lastCached: boolean): void {
    const { slots, counters } = this;
    this.enterFull(s, computed + n);
    slots.computed[s] = computed;
    slots.state[s] = RUNNING;
    slots.order[s] = ++this.orders;
    this.running.push(s);
    this.loose.add(s);
    this.items.add(s, n, computed);
    this.budget -= n;
    counters.admissions++;
    const first = slots.preemptions[s] === 0;
    if (first) {
      counters.queryTokensFirst += length;
      counters.hitHbmTokensFirst += hitHbm;
      counters.hitHostTokensFirst += hitHost;
      if (lastCached) counters.lastBlockRecomputed++;
    } else {
      counters.queryTokensAgain += length;
      counters.hitHbmTokensAgain += hitHbm;
      counters.hitHostTokensAgain += hitHost;
    }
    this.sink.admitted(slots.id[s]!, this.nowMs, length, hitHbm, hitHost, first);
  }

  /** A loose request that is in step with the others joins the decode set. */
  joinDecode(s: number): void {
    const { slots, branches } = this;
    const leaf = slots.leaf[s]!;
    const c = slots.computed[s]!;
    const shared = this.caching && ((branches.flags[leaf]! & BRANCH_PRIVATE) === 0 || Math.floor(c / this.bs) < branches.start[leaf]!);
    this.loose.remove(s);
    this.decode.add(s, c, slots.limit[s]! - slots.out[s]!, shared);
  }

  /** Takes a request out of whatever holds it; blocks stay. `lag` as in {@link leaveDecode}. */
  detach(s: number, lag: number): void {
    const state = this.slots.state[s];
    if (state === RUNNING) {
      if (this.decode.has(s)) this.leaveDecode(s, lag, 0);
      else this.loose.remove(s);
      this.running.remove(s);
    } else if (state === RESTORING) this.holding.remove(s);
    else this.waiting.remove(s);
  }
}
