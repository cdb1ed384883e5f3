/**
 * Session templates: everything about a session that does not depend on the play, computed once and copied per play.
 * Source: trace specification 7.1-7.4; classes of turns: experiments specification 4.
 */
import type { BranchTable } from '../../control/blocks.ts';
import type { Trace } from '../../traces/columns.ts';
import type { Stream } from '../kernel/draw.ts';
import { AgentTemplates, BranchTemplates, TurnTemplates } from './columns.ts';
import { pauseBefore, pauseKindOf, transformedPause } from './pauses.ts';
import { PromptChains } from './prompt-chains.ts';
import { replayedOutput, type SessionPlan, scaledPosition, unscaledPrefix } from './session-plan.ts';
import { SharedPrefixes } from './shared-prefixes.ts';
import { PauseDraws } from './tool-time.ts';
import type { UnsaltedChains } from './unsalted-chains.ts';
import { EDGE_JOINS, EDGE_SPAWNS_ON_COMPLETION, EDGE_SPAWNS_ON_DISPATCH, PAUSE_KINDS, TURN_CLASSES } from './workload.ts';
import type { WorkloadOptions } from './workload-options.ts';

/** Rows of one template in the stores of {@link SessionTemplates}. */
export interface SessionTemplate {
  readonly session: number;
  readonly turnFrom: number;
  readonly turnTo: number;
  readonly agentFrom: number;
  readonly agentTo: number;
  readonly branchFrom: number;
  readonly branchTo: number;
}

const CLASS_FIRST = TURN_CLASSES.indexOf('first');
const CLASS_SUBAGENT = TURN_CLASSES.indexOf('subagent');
const CLASS_JOIN = TURN_CLASSES.indexOf('join');
const CLASS_HUMAN = TURN_CLASSES.indexOf('human');
const CLASS_TOOL = TURN_CLASSES.indexOf('tool');
const KIND_FIRST = PAUSE_KINDS.indexOf('first');
const KIND_JOIN = PAUSE_KINDS.indexOf('join');
const KIND_HUMAN = PAUSE_KINDS.indexOf('human');

/** Builds templates on demand, at most one per (session, salt domain, with or without the fleet prefix). */
export class SessionTemplates {
  readonly turns = new TurnTemplates();
  readonly agents = new AgentTemplates();
  readonly branches = new BranchTemplates();
  readonly #trace: Trace;
  readonly #options: WorkloadOptions;
  readonly #plan: SessionPlan;
  readonly #chains: PromptChains;
  readonly #shared: SharedPrefixes;
  readonly #unsalted: UnsaltedChains | undefined;
  /** By salt domain. */
  readonly #built: Map<number, SessionTemplate>[] = [];
  /** Row of each agent of the trace inside its template. */
  readonly #rowOf: Int32Array;
  /** Absent where pauses are read. */
  readonly #draws: PauseDraws | undefined;

  /**
   * `pauseStream` opens the stream from which an agent's pauses are drawn, by a name that is unique in the trace. `unsalted` is kept beside
   * `branches` where there are several salt domains.
   */
  constructor(
    trace: Trace,
    options: WorkloadOptions,
    plan: SessionPlan,
    branches: BranchTable,
    pauseStream: (agent: string) => Stream,
    unsalted?: UnsaltedChains,
  ) {
    this.#trace = trace;
    this.#options = options;
    this.#plan = plan;
    this.#rowOf = new Int32Array(trace.agentCount);
    const isDrawn = options.pauses === 'synthetic' || (options.toolTime !== undefined && options.toolTime.resample !== 'none');
    this.#draws = isDrawn ? new PauseDraws(trace, pauseStream) : undefined;
    this.#chains = new PromptChains(trace, options, branches);
    this.#unsalted = unsalted;
    // File-wide ids say what is shared; a declared level would contradict them.
    this.#shared = new SharedPrefixes(branches, this.#chains.ratio, trace.header.idScope === 'file' ? 'none' : options.sharing);
  }

  /** Template of a session under a salt. Cost of the first call O(runs * log + new blocks), then O(1). */
  of(session: number, fleet: boolean, domain = 0): SessionTemplate {
    const key = session * 2 + (fleet ? 1 : 0);
    this.#built[domain] ??= new Map();
    const built = this.#built[domain]!;
    let template = built.get(key);
    if (template === undefined) {
      template = this.#build(session, fleet, domain);
      built.set(key, template);
    }
    return template;
  }

  #build(session: number, fleet: boolean, domain: number): SessionTemplate {
    const agentFrom = this.agents.count;
    const turnFrom = this.turns.count;
    const branchFrom = this.branches.count;
    this.#addAgents(session);
    const agentTo = this.agents.count;
    const turnTo = this.turns.count;
    this.#markEdges(agentFrom, agentTo, turnFrom);
    for (let row = agentFrom; row < agentTo; row++) this.#addPauses(session, row, turnFrom, row === agentFrom);
    this.#chains.begin(domain);
    this.#unsalted?.begin();
    for (let row = agentFrom; row < agentTo; row++) this.#share(row, fleet, domain);
    if (agentTo - agentFrom === 1) for (let turn = turnFrom; turn < turnTo; turn++) this.#addPrompt(agentFrom, turn);
    else for (const turn of this.#inTimeOrder(turnFrom, turnTo)) this.#addPrompt(agentFrom, turn);
    this.#encode(turnFrom, turnTo);
    return { session, turnFrom, turnTo, agentFrom, agentTo, branchFrom, branchTo: this.branches.count };
  }

  /** Agents that take part, and the columns of their turns that need neither ids nor edges. */
  #addAgents(session: number): void {
    const { agents } = this;
    const { agent, session: sessions } = this.#trace;
    const agentBase = agents.count;
    const turnBase = this.turns.count;
    const rowOf = this.#rowOf;
    for (let a = sessions.agentFrom[session]!; a < sessions.agentFrom[session + 1]!; a++) {
      const kept = this.#plan.kept[a]!;
      if (kept === 0) continue;
      agents.reserve(1);
      const row = agents.count++;
      const parent = agent.parent[a]!;
      const parentRow = parent < 0 ? -1 : rowOf[parent]!;
      rowOf[a] = row - agentBase;
      agents.parent[row] = parentRow;
      agents.source[row] = a;
      agents.turnFrom[row] = this.turns.count - turnBase;
      agents.turnTo[row] = this.turns.count - turnBase + kept;
      agents.spawnAfter[row] = parent < 0 ? -1 : this.#turnOf(parent, agentBase + parentRow, agent.spawnAfter[a]!);
      agents.joinBefore[row] = parent < 0 ? -1 : this.#turnOf(parent, agentBase + parentRow, agent.joinBefore[a]!);
      this.#addTurns(a, row - agentBase, kept);
    }
  }

  /** Turn of a request of agent `a` in row `row`; -1 = none, or cut off. */
  #turnOf(a: number, row: number, request: number): number {
    if (request < 0) return -1;
    const index = request - this.#trace.agent.requestFrom[a]!;
    return index < this.#plan.kept[a]! ? this.agents.turnFrom[row]! + index : -1;
  }

  #addTurns(a: number, agentRow: number, kept: number): void {
    const { turns } = this;
    const { request, agent } = this.#trace;
    const prefix = unscaledPrefix(this.#trace, a);
    turns.reserve(kept);
    for (let i = 0; i < kept; i++) {
      const r = agent.requestFrom[a]! + i;
      const t = turns.count++;
      turns.agent[t] = agentRow;
      turns.request[t] = r;
      turns.promptTokens[t] = scaledPosition(request.inTokens[r]!, prefix, this.#options.scaleContext);
      turns.outputTokens[t] = replayedOutput(request.outTokens[r]!, this.#options);
      turns.stop[t] = request.stop[r]!;
      turns.edges[t] = 0;
    }
  }

  #markEdges(agentFrom: number, agentTo: number, turnBase: number): void {
    const { edges } = this.turns;
    for (let row = agentFrom; row < agentTo; row++) {
      const spawn = this.agents.spawnAfter[row]!;
      const join = this.agents.joinBefore[row]!;
      const onCompletion = this.#trace.agent.spawnOn[this.agents.source[row]!] === 1;
      if (spawn >= 0) edges[turnBase + spawn]! |= onCompletion ? EDGE_SPAWNS_ON_COMPLETION : EDGE_SPAWNS_ON_DISPATCH;
      if (join >= 0) edges[turnBase + join]! |= EDGE_JOINS;
    }
  }

  #addPauses(session: number, row: number, turnBase: number, root: boolean): void {
    const { turns } = this;
    const a = this.agents.source[row]!;
    const from = turnBase + this.agents.turnFrom[row]!;
    const ignored = this.#options.agents === 'root' ? joinedRequests(this.#trace, a) : undefined;
    const stream = this.#draws?.open(session, a);
    for (let t = from; t < turnBase + this.agents.turnTo[row]!; t++) {
      const r = turns.request[t]!;
      const joins = (turns.edges[t]! & EDGE_JOINS) !== 0;
      const kind = pauseKindOf(this.#trace, r, t === from, joins);
      turns.pauseKind[t] = kind;
      const drawnMs = stream === undefined ? undefined : this.#drawnPause(stream, kind);
      turns.readPauseMs[t] = t === from ? 0 : (drawnMs ?? pauseBefore(this.#trace, r, ignored?.has(r) ?? false, this.#options));
      turns.pauseMs[t] = transformedPause(turns.readPauseMs[t]!, kind, this.#trace.requestTools.get(r - 1), this.#options);
      turns.turnClass[t] = root ? rootClass(kind) : CLASS_SUBAGENT;
    }
  }

  /** A pause drawn instead of read; undefined for kinds that are read. */
  #drawnPause(stream: Stream, kind: number): number | undefined {
    if (kind === KIND_FIRST || kind === KIND_JOIN) return undefined;
    const resample = this.#options.toolTime?.resample ?? 'none';
    if (kind !== KIND_HUMAN && resample === 'ecdf') return this.#draws!.ecdf(stream);
    if (this.#options.pauses === 'synthetic' || (kind !== KIND_HUMAN && resample === 'fit')) return this.#draws!.fit(stream, kind);
    return undefined;
  }

  /** Shared leading blocks of an agent, known before any prompt is inserted: what is shared is a property of the ids. */
  #share(row: number, fleet: boolean, domain: number): void {
    const { strings, agent, request } = this.#trace;
    const a = this.agents.source[row]!;
    const first = agent.requestFrom[a]!;
    const model = strings[request.model[first]!]!;
    const prefix = this.#shared.of(domain, model, agent.toolTokens[a]!, agent.systemTokens[a]!, fleet);
    this.#chains.share(first, prefix);
    this.#unsalted?.share(prefix, model, agent.toolTokens[a]!, agent.systemTokens[a]!, fleet);
  }

  /** Turns of a session as they happened: by recorded start, then by position. */
  #inTimeOrder(turnFrom: number, turnTo: number): readonly number[] {
    const order = Array.from({ length: turnTo - turnFrom }, (_, i) => turnFrom + i);
    const { startMs } = this.#trace.request;
    const { request } = this.turns;
    return order.sort((x, y) => startMs[request[x]!]! - startMs[request[y]!]! || x - y);
  }

  /** Chain, leaf and reuse of a turn. `branch` and `leafParent` hold trie branches until {@link #encode}. */
  #addPrompt(agentFrom: number, turn: number): void {
    const { turns } = this;
    const chains = this.#chains;
    const e = chains.ratio.engineBlockTokens;
    const r = turns.request[turn]!;
    const a = this.agents.source[agentFrom + turns.agent[turn]!]!;
    const first = r === this.#trace.agent.requestFrom[a]!;
    const joins = !first && this.#options.outputReuse === 'assume';
    const joined = joins && chains.joinAnswer(r, r - 1, turns.branch[turn - 1]!);
    const prefixTokens = unscaledPrefix(this.#trace, a);
    const { branch, depthBlocks, seenBlocks, isNew } = chains.add(r, prefixTokens);
    this.#unsalted?.add(r, prefixTokens, isNew ? chains.runBranch(branch) : -1, joins);
    turns.branch[turn] = branch;
    turns.depthBlocks[turn] = depthBlocks;
    // Padding rounds a prompt up to its blocks; scaling another agent's longer prefix may have the same effect.
    turns.promptTokens[turn] = Math.max(turns.promptTokens[turn]!, depthBlocks * e);
    this.#placeLeaf(turn, branch, depthBlocks);
    let reusable = seenBlocks;
    if (joined) {
      const repeated = turns.promptTokens[turn - 1]! + turns.outputTokens[turn - 1]!;
      const depth = Math.min(Math.floor(Math.min(turns.promptTokens[turn]!, repeated) / e), depthBlocks);
      if (depth > turns.depthBlocks[turn - 1]!) this.#placeLeaf(turn - 1, branch, depth);
      reusable = Math.max(reusable, depth);
    }
    turns.reusableTokens[turn] = reusable * e;
  }

  /** Hangs the private blocks of a turn below `depth` blocks of a chain: room for prompt and output, and one block to spare. */
  #placeLeaf(turn: number, branch: number, depth: number): void {
    const { turns } = this;
    const owner = this.#chains.ownerAt(branch, depth);
    const tokens = turns.promptTokens[turn]! + turns.outputTokens[turn]!;
    turns.leafParent[turn] = owner;
    turns.leafAttach[turn] = depth - this.#chains.startOf(owner);
    turns.leafLength[turn] = Math.ceil(tokens / this.#chains.ratio.engineBlockTokens) + 1 - depth;
  }

  #encode(turnFrom: number, turnTo: number): void {
    const code = this.#chains.encode(this.branches);
    const { branch, leafParent } = this.turns;
    for (let t = turnFrom; t < turnTo; t++) {
      branch[t] = code(branch[t]!);
      leafParent[t] = code(leafParent[t]!);
    }
  }
}

function rootClass(pauseKind: number): number {
  if (pauseKind === KIND_FIRST) return CLASS_FIRST;
  if (pauseKind === KIND_JOIN) return CLASS_JOIN;
  return pauseKind === KIND_HUMAN ? CLASS_HUMAN : CLASS_TOOL;
}

/** Requests of agent `a` before which other agents joined. */
function joinedRequests(trace: Trace, a: number): Set<number> {
  const joined = new Set<number>();
  // Agents of a session are consecutive, parents first.
  for (let child = a + 1; child < trace.agentCount && trace.agent.parent[child]! >= 0; child++)
    if (trace.agent.parent[child] === a && trace.agent.joinBefore[child]! >= 0) joined.add(trace.agent.joinBefore[child]!);
  return joined;
}
