/**
 * One play of agentic Mooncake as a session: lanes become agents, edges become pauses, spawns and joins. The own format knows one spawn
 * per agent and joins of finished children; edges beyond that are counted, never guessed. Source: trace specification 3.1.
 */
import { closedLoopStarts } from '../closed-loop-starts.ts';
import type { ProblemLog } from '../problem-log.ts';
import { type AgentDraft, emptyAgent, emptySession, labelBreaks, type RequestDraft, type SessionDraft } from '../session-draft.ts';

/** A row, still tied by request names. */
export interface PlayRow {
  readonly requestId: string;
  /** Agent name within the play. */
  readonly lane: string;
  readonly request: RequestDraft;
  readonly notBeforeMs: number;
  readonly edges: readonly {
    readonly requestId: string;
    readonly onCompletion: boolean;
    readonly delayMs: number;
    readonly relation: string;
  }[];
  readonly line: number;
  readonly priority: number;
  readonly policyClass: string;
  readonly strictPriority: number;
}

/** A row with its place among the agents. */
interface Placed {
  readonly row: PlayRow;
  agent: number;
  index: number;
}

/** The session, or null after complaints (unknown or cyclic edges). `respect` = a row waits for its `not_before_ms` as well. */
export function agenticPlay(
  log: ProblemLog,
  id: string,
  rows: readonly PlayRow[],
  blockTokens: number,
  respect: boolean,
): SessionDraft | null {
  const byName = new Map<string, Placed>();
  for (const row of rows) {
    log.line = row.line;
    if (byName.has(row.requestId)) log.error('E_TRACE_SESSION', 'request_id', `got ${row.requestId} again, expected unique names`);
    byName.set(row.requestId, { row, agent: -1, index: -1 });
  }
  const order = topological(log, byName);
  if (order === null) return null;
  const lanes = lanesOf(order);
  const session = emptySession(id);
  const placedLanes = placeLanes(log, lanes, byName, session);
  const root = placedLanes[0]![0]!.row;
  session.arrivalMs = root.notBeforeMs;
  session.priority = root.priority;
  session.class = root.policyClass;
  if (root.strictPriority > 0) session.hints = { strictPriority: root.strictPriority };
  placedLanes.forEach((lane, a) => {
    for (let i = 1; i < lane.length; i++) tie(log, session.agents, a, i, lane, byName);
  });
  setStarts(session, placedLanes, respect);
  for (const agent of session.agents) labelBreaks(agent, blockTokens);
  return session;
}

/** Rows so that every edge points back; independent rows by name. Null after a complaint. */
function topological(log: ProblemLog, byName: ReadonlyMap<string, Placed>): Placed[] | null {
  const errors = log.total;
  const waiting = new Map<string, number>();
  const followers = new Map<string, string[]>();
  for (const [name, { row }] of byName) {
    waiting.set(name, row.edges.length);
    row.edges.forEach((edge, i) => {
      if (!byName.has(edge.requestId)) {
        log.line = row.line;
        log.error('E_TRACE_EDGE', `dependencies[${i}].request_id`, `got unknown request ${edge.requestId}, expected one of the same play`);
      }
      followers.set(edge.requestId, [...(followers.get(edge.requestId) ?? []), name]);
    });
  }
  if (log.total > errors) return null;
  const order: Placed[] = [];
  let ready = [...byName.keys()].filter((name) => waiting.get(name) === 0).sort();
  while (ready.length > 0) {
    const next: string[] = [];
    for (const name of ready) {
      order.push(byName.get(name)!);
      for (const follower of followers.get(name) ?? []) {
        const left = waiting.get(follower)! - 1;
        waiting.set(follower, left);
        if (left === 0) next.push(follower);
      }
    }
    ready = next.sort();
  }
  if (order.length === byName.size) return order;
  const stuck = [...byName.values()].find(({ row }) => waiting.get(row.requestId)! > 0)!;
  log.line = stuck.row.line;
  log.error('E_TRACE_EDGE', 'dependencies', `got a cycle through ${stuck.row.requestId}, expected edges that can be met`);
  return null;
}

function lanesOf(order: readonly Placed[]): Map<string, Placed[]> {
  const lanes = new Map<string, Placed[]>();
  for (const placed of order) {
    const lane = lanes.get(placed.row.lane);
    if (lane === undefined) lanes.set(placed.row.lane, [placed]);
    else lane.push(placed);
  }
  return lanes;
}

/** Makes the agents: the lane that starts first is the root, every other hangs where its first row says. Parents precede children. */
function placeLanes(
  log: ProblemLog,
  lanes: ReadonlyMap<string, Placed[]>,
  byName: ReadonlyMap<string, Placed>,
  session: SessionDraft,
): Placed[][] {
  const starts = (lane: Placed[]): number => (lane[0]!.row.edges.length === 0 ? lane[0]!.row.notBeforeMs : Number.POSITIVE_INFINITY);
  const names = [...lanes.keys()].sort((x, y) => starts(lanes.get(x)!) - starts(lanes.get(y)!) || (x < y ? -1 : 1));
  const placed: Placed[][] = [];
  const place = (name: string): void => {
    const lane = lanes.get(name)!;
    if (lane[0]!.agent >= 0) return;
    const edges = lane[0]!.row.edges;
    const edge = edges.find((e) => e.relation === 'spawn') ?? edges[0];
    // The row a lane starts from belongs to a lane that starts earlier; the graph has no cycle, so this ends.
    if (edge !== undefined) place(byName.get(edge.requestId)!.row.lane);
    const agent = emptyAgent(name, -1, lane[0]!.row.request.model);
    const index = session.agents.length;
    lane.forEach((p, i) => {
      p.agent = index;
      p.index = i;
      agent.requests.push(p.row.request);
    });
    if (edge !== undefined) {
      const from = byName.get(edge.requestId)!;
      agent.parent = from.agent;
      agent.spawnAfter = from.index;
      agent.spawnOn = edge.onCompletion ? 1 : 0;
      agent.spawnDelayMs = edge.delayMs;
      if (edges.length > 1)
        log.notice('W_TRACE_EDGE_DROPPED', 'further edges into the first request of an agent left out', edges.length - 1);
    } else if (index > 0) {
      agent.parent = 0;
      agent.spawnAfter = 0;
      agent.spawnDelayMs = Math.max(0, lane[0]!.row.notBeforeMs - placed[0]![0]!.row.notBeforeMs);
      log.notice('W_TRACE_EDGE_ADDED', 'lanes that start by themselves hang on the first request of the play');
    }
    session.agents.push(agent);
    placed.push(lane);
  };
  for (const name of names) place(name);
  return placed;
}

/** Pause of a later request from its sequence edge, joins from the others. */
function tie(
  log: ProblemLog,
  agents: AgentDraft[],
  a: number,
  i: number,
  lane: readonly Placed[],
  byName: ReadonlyMap<string, Placed>,
): void {
  const { row } = lane[i]!;
  const previous = lane[i - 1]!.row;
  const sequence = row.edges.find((e) => e.requestId === previous.requestId);
  let pause = sequence?.delayMs ?? 0;
  if (sequence === undefined) log.notice('W_TRACE_EDGE_ADDED', 'requests of one lane without an edge between them are taken in order');
  else if (!sequence.onCompletion) {
    const api = Number.isNaN(previous.request.apiMs) ? previous.request.apiEstMs : previous.request.apiMs;
    pause = Math.max(0, pause - api);
    log.notice('W_TRACE_EDGE_APPROXIMATED', 'sequence edges on dispatch count from the recorded response');
  }
  row.request.pauseMs = pause;
  for (const edge of row.edges) {
    if (edge === sequence) continue;
    const from = byName.get(edge.requestId)!;
    const child = agents[from.agent]!;
    const joins =
      child.parent === a && from.index === child.requests.length - 1 && edge.onCompletion && child.joinBefore < 0 && i > child.spawnAfter;
    if (!joins) {
      log.notice('W_TRACE_EDGE_DROPPED', 'edges that are no join of a finished child left out');
      continue;
    }
    child.joinBefore = i;
    child.joinDelayMs = Math.max(0, edge.delayMs - pause);
    if (edge.delayMs < pause) log.notice('W_TRACE_EDGE_APPROXIMATED', 'join edges shorter than the pause wait for the pause');
  }
}

/** Recorded starts do not exist: they follow from the edges and the recorded response times. */
function setStarts(session: SessionDraft, lanes: readonly Placed[][], respect: boolean): void {
  const requestOf = (a: number, i: number): RequestDraft => session.agents[a]!.requests[i]!;
  const origin = lanes[0]![0]!.row.notBeforeMs;
  const starts = closedLoopStarts(session.agents, {
    startMs: 0,
    serviceMs: (a, i) => {
      const r = requestOf(a, i);
      return Number.isNaN(r.apiMs) ? r.apiEstMs : r.apiMs;
    },
    pauseMs: (a, i) => requestOf(a, i).pauseMs,
    adjust: (a, i, startMs) => {
      const late = respect ? lanes[a]![i]!.row.notBeforeMs - origin - startMs : 0;
      if (late <= 0) return startMs;
      if (i > 0) requestOf(a, i).pauseMs += late;
      else if (a > 0) session.agents[a]!.spawnDelayMs += late;
      return startMs + late;
    },
  });
  starts.forEach((list, a) => {
    list.forEach((startMs, i) => {
      requestOf(a, i).startMs = startMs;
    });
  });
}
