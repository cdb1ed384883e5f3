/**
 * Nested agents of a synthetic session. The parameters are NOT calibrated (19 of 739 upstream files have nested agents): sweep the share,
 * do not trust it. Source: trace specification 7.8, block `subagents` of sim/workload/data/generator.json.
 */
import { STOPS } from '../../../traces/columns.ts';
import { pushRun } from '../../../traces/run-list.ts';
import { type AgentDraft, emptyAgent, emptyRequest, type SessionDraft } from '../../../traces/session-draft.ts';
import { choice, lognormal, mixture, type Stream, uniformInteger, uniformReal } from '../../kernel/draw.ts';
import { estimatedApiMs } from '../pauses.ts';
import { OUTPUT, PAUSE, SUB_AGENTS } from './generator-parameters.ts';

const TOOL = STOPS.indexOf('tool');
const TURN = STOPS.indexOf('turn');
const BLOCK = 64;
/** Spread of the number of nested agents per session; ours, the file gives median and maximum. */
const COUNT_SIGMA = 0.8;
const GROUP_WEIGHTS = SUB_AGENTS.group_size.map((g) => g.p);

/**
 * With probability `share`, hangs groups of siblings below the root: a group is spawned when the root's request is sent and joined before
 * its next one. Siblings share tools and system prompt, not with the root. Takes numbers from `stream` alone.
 */
export function addSubAgents(session: SessionDraft, stream: Stream, share: number): void {
  const root = session.agents[0]!;
  if (stream.double() >= share || root.requests.length < 2) return;
  const count = Math.min(SUB_AGENTS.per_session.max, Math.max(1, Math.round(lognormal(stream, SUB_AGENTS.per_session.p50, COUNT_SIGMA))));
  const toolTokens = SUB_AGENTS.tool_tokens[uniformInteger(stream, 0, SUB_AGENTS.tool_tokens.length - 1)]!;
  const systemTokens = uniformInteger(stream, SUB_AGENTS.system_tokens.min, SUB_AGENTS.system_tokens.max);
  let nextId = 0;
  for (const runs of root.requests) for (let i = 1; i < runs.runs.length; i += 2) nextId = Math.max(nextId, runs.runs[i]! + 1);
  const prefixBlocks = Math.floor((toolTokens + systemTokens) / BLOCK);
  const prefixFrom = nextId;
  nextId += prefixBlocks;
  for (let made = 0; made < count; ) {
    const size = Math.min(SUB_AGENTS.group_size[choice(stream, GROUP_WEIGHTS)]!.n, count - made);
    const after = uniformInteger(stream, 0, root.requests.length - 2);
    for (let k = 0; k < size; k++, made++) {
      const agent = { ...emptyAgent(`sub-${made + 1}`, 0, root.model), toolTokens, systemTokens };
      agent.spawnAfter = after;
      agent.spawnDelayMs = Math.round(uniformReal(stream, SUB_AGENTS.spawn_delay_s.min, SUB_AGENTS.spawn_delay_s.max) * 1000);
      agent.joinBefore = after + 1;
      agent.joinDelayMs = 0;
      nextId = addRequests(agent, stream, root.requests[after]!.startMs + agent.spawnDelayMs, prefixFrom, prefixBlocks, nextId);
      session.agents.push(agent);
    }
  }
}

/** Requests of one nested agent; prompts grow linearly so that the median request has the fitted length. Returns the next free id. */
function addRequests(agent: AgentDraft, stream: Stream, startMs: number, prefixFrom: number, prefixBlocks: number, nextId: number): number {
  const { requests, first_input_tokens_p50: first, input_tokens_per_request_p50: middle } = SUB_AGENTS;
  const count = Math.max(requests.min, Math.round(lognormal(stream, requests.median, requests.sigma)));
  const growth = (2 * (middle - first)) / count;
  let inTokens = Math.max(agent.toolTokens + agent.systemTokens + 1, Math.round(lognormal(stream, first, 0.3)));
  let at = startMs;
  let pauseMs = Number.NaN;
  let blocks = prefixBlocks;
  const ownFrom = nextId;
  for (let i = 0; i < count; i++) {
    const isLast = i === count - 1;
    const outTokens = Math.max(1, Math.round(mixture(stream, isLast ? OUTPUT.turn : OUTPUT.tool)));
    const wanted = Math.max(blocks, Math.floor(inTokens / BLOCK));
    nextId += wanted - blocks;
    blocks = wanted;
    const runs: number[] = [];
    pushRun(runs, prefixFrom, prefixFrom + prefixBlocks - 1);
    if (blocks > prefixBlocks) pushRun(runs, ownFrom, ownFrom + blocks - prefixBlocks - 1);
    const request = emptyRequest(at, inTokens, outTokens, agent.model, runs);
    request.stop = isLast ? TURN : TOOL;
    request.apiEstMs = estimatedApiMs(inTokens, outTokens);
    request.pauseMs = pauseMs;
    request.debiasedMs = pauseMs;
    agent.requests.push(request);
    pauseMs = Math.round(mixture(stream, PAUSE.debiased.tool) * 1000);
    at += request.apiEstMs + pauseMs;
    inTokens += outTokens + Math.round(lognormal(stream, growth, 0.5));
  }
  return nextId;
}
