/**
 * From a trace to the workload of one replication: which sessions are played, when they start, and where they are entered.
 * Nothing is drawn later: successors of closed slots are keyed by (slot, j). Source: trace specification 7, experiments 3.1, 3.2.
 */
import { BRANCH_SESSION, BranchTable } from '../../control/blocks.ts';
import { UserError } from '../../control/user-error.ts';
import type { Trace } from '../../traces/columns.ts';
import { Stream, streamKey } from '../kernel/draw.ts';
import { openStarts, rampStarts, recordedStarts, SessionChoice } from './arrivals.ts';
import { AskedTools } from './asked-tools.ts';
import { AgentColumns, PlayColumns } from './columns.ts';
import { MidlifeChoice, type MidlifeEntry } from './midlife.ts';
import { transformedPause } from './pauses.ts';
import { PlayedTurns, resolvedBranch } from './played-turns.ts';
import { planSessions, type SessionPlan } from './session-plan.ts';
import { type SessionTemplate, SessionTemplates } from './session-template.ts';
import { TenantMix } from './tenant-mix.ts';
import { UnsaltedChains } from './unsalted-chains.ts';
import { EDGE_JOINS, type Workload, type WorkloadFacts } from './workload.ts';
import { WorkloadHash } from './workload-hash.ts';
import type { WorkloadOptions } from './workload-options.ts';

/**
 * Draws the workload of replication `replication` (from 0).
 * Throws UserError: E_TRACE_BLOCK_SIZE, E_CONTEXT_EXCEEDED, E_TRACE_NO_ARRIVALS, E_RANGE.
 * Cost: some microseconds per play for its keyed draws, and once per session O(runs * log + new blocks).
 */
export function materialiseWorkload(trace: Trace, options: WorkloadOptions, seed: number, replication: number): Workload {
  return new TraceWorkload(trace, options, seed, replication);
}

class TraceWorkload implements Workload {
  readonly blockTokens: number;
  readonly branches = new BranchTable();
  readonly unsalted: UnsaltedChains | undefined;
  readonly tenants: readonly string[];
  readonly plays = new PlayColumns();
  readonly agents = new AgentColumns();
  readonly turns: PlayedTurns;
  readonly mode: Workload['mode'];
  readonly concurrency: number;
  readonly respawnMs: number;
  readonly toolOverlap: number;
  readonly initialPlays: Int32Array;
  readonly hash: string;
  readonly facts: WorkloadFacts;
  readonly #trace: Trace;
  readonly #options: WorkloadOptions;
  readonly #seed: number;
  readonly #replication: number;
  readonly #plan: SessionPlan;
  readonly #templates: SessionTemplates;
  readonly #choice: SessionChoice;
  readonly #tenants: TenantMix;
  readonly #asked: AskedTools;

  constructor(trace: Trace, options: WorkloadOptions, seed: number, replication: number) {
    const { arrivals } = options;
    this.#trace = trace;
    this.#options = options;
    this.#seed = seed;
    this.#replication = replication;
    this.blockTokens = options.blockTokens;
    this.mode = arrivals.mode;
    this.concurrency = arrivals.mode === 'closed' ? Math.max(1, Math.round(arrivals.concurrency * options.scaleLoad)) : 0;
    this.respawnMs = arrivals.mode === 'closed' ? arrivals.respawnMs : 0;
    this.toolOverlap = options.toolTime?.overlap ?? 0;
    this.#plan = planSessions(trace, options);
    this.#tenants = new TenantMix(trace, options);
    this.#asked = new AskedTools(trace);
    this.unsalted = this.#tenants.domains > 1 ? new UnsaltedChains(trace, options) : undefined;
    const pauseStream = (agent: string) => this.#stream('pause-fit', agent);
    this.#templates = new SessionTemplates(trace, options, this.#plan, this.branches, pauseStream, this.unsalted);
    this.turns = new PlayedTurns(this.plays, this.agents, this.#templates.turns, this.branches);
    this.#choice = new SessionChoice(trace, this.#plan, options, seed, replication);
    this.tenants = this.#tenants.names;
    this.#playInitial();
    this.initialPlays = this.#byStart();
    this.hash = this.#hashed();
    this.facts = this.#gatherFacts();
  }

  successor(slot: number, j: number): number {
    const number = slot + j * this.concurrency;
    if (number >= this.#limit()) return -1;
    const name = slotPlayName(slot, j);
    return this.#instantiate(this.#choice.session(number, name), name, slot, j, Number.NaN, undefined);
  }

  playName(play: number): string {
    const slot = this.plays.slot[play]!;
    const ordinal = this.plays.ordinal[play]!;
    return slot < 0 ? `s${ordinal}` : slotPlayName(slot, ordinal);
  }

  turnName(turn: number): string {
    const agent = this.turns.agent(turn);
    const name = this.#trace.strings[this.#trace.agent.id[this.agents.source[agent]!]!]!;
    return `${this.playName(this.turns.play(turn))}/${name}/${turn - this.agents.turnFrom[agent]!}`;
  }

  hints(turn: number): Readonly<Record<string, unknown>> | undefined {
    const ofSession = this.#trace.sessionHints.get(this.plays.session[this.turns.play(turn)]!);
    const ofRequest = this.#trace.requestHints.get(this.turns.request(turn));
    return ofSession === undefined || ofRequest === undefined ? (ofRequest ?? ofSession) : { ...ofSession, ...ofRequest };
  }

  toolNames(turn: number): readonly string[] | undefined {
    const { turns, agents } = this;
    const next = turn + 1;
    const joins = next < agents.turnTo[turns.agent(turn)]! && (turns.edges(next) & EDGE_JOINS) !== 0;
    return this.#asked.of(turns.request(turn), joins);
  }

  queueClass(play: number): string | undefined {
    const ofTenant = this.#tenants.queueClass(this.plays.tenant[play]!);
    if (ofTenant !== undefined) return ofTenant;
    const name = this.#trace.strings[this.#trace.session.class[this.plays.session[play]!]!]!;
    return name === 'default' ? undefined : name;
  }

  hinting(play: number, share: number): boolean {
    return this.#hints(this.playName(play), share);
  }

  /** Number of plays of this replication, Infinity for an unlimited closed population. */
  #limit(): number {
    const { sessions, resample, arrivals } = this.#options;
    if (arrivals.mode === 'closed') return sessions ?? Number.POSITIVE_INFINITY;
    if (resample === 'bootstrap') return sessions ?? this.#trace.sessionCount;
    const available = this.#choice.available;
    // Excluded sessions are reported, not replaced: asking for all of the trace is not a mistake.
    if (sessions !== undefined && sessions > this.#trace.sessionCount) throw tooManySessions(sessions, this.#trace.sessionCount, resample);
    return Math.min(sessions ?? available, available);
  }

  #playInitial(): void {
    const { arrivals, scaleLoad } = this.#options;
    if (arrivals.mode === 'closed') {
      this.#fillSlots(arrivals.start, arrivals.rampUpMs);
      return;
    }
    const n = this.#limit();
    const sessions = new Int32Array(n);
    for (let i = 0; i < n; i++) sessions[i] = this.#choice.session(i, `s${i}`);
    const starts =
      arrivals.mode === 'open'
        ? openStarts(n, arrivals, scaleLoad, this.#seed, this.#replication)
        : recordedStarts(this.#trace, sessions, this.#options, this.#seed, this.#replication);
    for (let i = 0; i < n; i++) this.#instantiate(sessions[i]!, `s${i}`, -1, i, starts[i]!, undefined);
  }

  #fillSlots(start: 'cold' | 'midlife', rampUpMs: number): void {
    const slots = Math.min(this.concurrency, this.#limit());
    if (start === 'midlife') {
      const choice = new MidlifeChoice(this.#trace, this.#templates, this.#plan.eligible, this.#options);
      for (let k = 0; k < slots; k++) {
        const name = slotPlayName(k, 0);
        const stream = this.#stream('entry', name);
        const { session, entry } = choice.draw(stream.double(), stream.double());
        this.#instantiate(session, name, k, 0, 0, entry);
      }
      return;
    }
    const starts = rampStarts(slots, rampUpMs, this.#seed, this.#replication);
    for (let k = 0; k < slots; k++) {
      const name = slotPlayName(k, 0);
      this.#instantiate(this.#choice.session(k, name), name, k, 0, starts[k]!, undefined);
    }
  }

  #instantiate(session: number, name: string, slot: number, ordinal: number, startMs: number, entry: MidlifeEntry | undefined): number {
    const tenant = this.#tenants.of(session, () => this.#stream('tenant', name));
    const template = this.#templates.of(session, this.#usesFleetPrefix(name), this.#tenants.domain(tenant));
    const { plays } = this;
    plays.reserve(1);
    const play = plays.count++;
    const agentBase = this.agents.count;
    const turnBase = this.turns.append(play, template, this.#copyBranches(template));
    plays.session[play] = session;
    plays.agentFrom[play] = agentBase;
    plays.agentTo[play] = agentBase + template.agentTo - template.agentFrom;
    plays.tenant[play] = tenant;
    plays.priority[play] = this.#trace.session.priority[session]!;
    plays.slot[play] = slot;
    plays.ordinal[play] = ordinal;
    plays.startMs[play] = startMs;
    plays.sendsHints[play] = this.#hints(name, this.#options.hintShare) ? 1 : 0;
    this.#copyAgents(template, play, turnBase);
    if (this.#options.dequantise) this.#dequantise(name, template, agentBase, turnBase);
    if (entry !== undefined) this.#enter(entry, agentBase, turnBase);
    return play;
  }

  #copyAgents(template: SessionTemplate, play: number, turnBase: number): void {
    const { agents } = this;
    const from = this.#templates.agents;
    const source = this.#trace.agent;
    const base = agents.count;
    agents.reserve(template.agentTo - template.agentFrom);
    for (let row = template.agentFrom; row < template.agentTo; row++) {
      const a = agents.count++;
      const s = from.source[row]!;
      const parent = from.parent[row]!;
      const spawn = from.spawnAfter[row]!;
      const join = from.joinBefore[row]!;
      agents.play[a] = play;
      agents.parent[a] = parent < 0 ? -1 : base + parent;
      agents.turnFrom[a] = turnBase + from.turnFrom[row]!;
      agents.turnTo[a] = turnBase + from.turnTo[row]!;
      agents.spawnAfter[a] = spawn < 0 ? -1 : turnBase + spawn;
      agents.spawnOn[a] = source.spawnOn[s]!;
      agents.spawnDelayMs[a] = spawn < 0 ? 0 : source.spawnDelayMs[s]!;
      agents.joinBefore[a] = join < 0 ? -1 : turnBase + join;
      agents.joinDelayMs[a] = join < 0 ? 0 : source.joinDelayMs[s]!;
      agents.firstTurn[a] = agents.turnFrom[a]!;
      agents.firstDelayMs[a] = spawn < 0 ? 0 : Number.NaN;
      agents.source[a] = s;
    }
  }

  /** Creates the play's own branches; returns the id of the first. */
  #copyBranches(template: SessionTemplate): number {
    const { branches } = this;
    const from = this.#templates.branches;
    const base = branches.count;
    for (let row = template.branchFrom; row < template.branchTo; row++)
      branches.add(resolvedBranch(from.parent[row]!, base), from.attach[row]!, from.length[row]!, BRANCH_SESSION);
    return base;
  }

  /** Pauses +- half a quantum, one number per turn from the stream of its agent. Source: trace specification 2.3. */
  #dequantise(name: string, template: SessionTemplate, agentBase: number, turnBase: number): void {
    const { agents, turns } = this;
    const { readPauseMs, pauseKind } = this.#templates.turns;
    const quantum = this.#trace.header.interpretation.quantumMs;
    for (let a = agentBase; a < agents.count; a++) {
      const agentName = this.#trace.strings[this.#trace.agent.id[agents.source[a]!]!]!;
      const stream = this.#stream('dequantise', `${name}/${agentName}`);
      for (let t = agents.turnFrom[a]! + 1; t < agents.turnTo[a]!; t++) {
        const row = template.turnFrom + t - turnBase;
        const read = readPauseMs[row]! + quantum * (stream.double() - 0.5);
        const spans = this.#trace.requestTools.get(turns.request(t) - 1);
        turns.setPause(t, transformedPause(Math.max(0, read), pauseKind[row]!, spans, this.#options));
      }
    }
  }

  #enter(entry: MidlifeEntry, agentBase: number, turnBase: number): void {
    const { agents } = this;
    for (let i = 0; i < entry.firstTurn.length; i++) {
      const a = agentBase + i;
      const first = entry.firstTurn[i]!;
      agents.firstTurn[a] = first < 0 ? -1 : turnBase + first;
      agents.firstDelayMs[a] = entry.firstDelayMs[i]!;
    }
  }

  #usesFleetPrefix(name: string): boolean {
    const { sharing, fleetShare } = this.#options;
    if (sharing !== 'fleet' || fleetShare <= 0) return false;
    return fleetShare >= 1 || this.#stream('fleet', name).double() < fleetShare;
  }

  #hints(name: string, share: number): boolean {
    if (share <= 0) return false;
    return share >= 1 || this.#stream('hints', name).double() < share;
  }

  #stream(purpose: string, play: string): Stream {
    return new Stream(streamKey(this.#seed, this.#replication, purpose, play));
  }

  #byStart(): Int32Array {
    const { startMs, count } = this.plays;
    const order = Int32Array.from({ length: count }, (_, play) => play);
    let sorted = true;
    for (let play = 1; play < count; play++) sorted &&= startMs[play - 1]! <= startMs[play]!;
    return sorted ? order : order.sort((a, b) => startMs[a]! - startMs[b]! || a - b);
  }

  #hashed(): string {
    const hash = new WorkloadHash(this.#trace, this.#options, this.#seed, this.#replication);
    const { plays, agents, turns } = this;
    hash.add(this.#plan.kept);
    for (const column of [plays.session, plays.startMs]) hash.add(column.subarray(0, plays.count));
    for (const column of [agents.firstTurn, agents.firstDelayMs]) hash.add(column.subarray(0, agents.count));
    hash.addInt32(turns.count, (t) => turns.promptTokens(t));
    hash.addInt32(turns.count, (t) => turns.outputTokens(t));
    hash.addFloat64(turns.count, (t) => turns.pauseMs(t));
    return hash.hex();
  }

  #gatherFacts(): WorkloadFacts {
    const { pauses, sharing, gapCapMs, fleetShare } = this.#options;
    let promptTokens = 0;
    for (let t = 0; t < this.turns.count; t++) promptTokens += this.turns.promptTokens(t);
    return {
      pauses,
      sharing: this.#trace.header.idScope === 'file' ? 'by file-wide ids' : sharing === 'fleet' ? `fleet ${fleetShare}` : sharing,
      gapCapMs,
      sessionsOffered: this.plays.count,
      sessionsExcluded: this.#plan.excluded,
      sessionsInSource: this.#trace.sessionCount,
      sessionsTruncated: this.#plan.truncated,
      zeroOutputs: this.#plan.zeroOutputs,
      promptTokens,
    };
  }
}

function slotPlayName(slot: number, j: number): string {
  return j === 0 ? `s${slot}` : `s${slot}.${j}`;
}

function tooManySessions(got: number, available: number, resample: string): UserError {
  return new UserError({
    severity: 'error',
    code: 'E_RANGE',
    path: 'workload.sessions',
    message: `got ${got}, expected at most the ${available} sessions of the trace with resample ${resample}`,
    hint: 'resample: bootstrap draws with replacement',
  });
}
