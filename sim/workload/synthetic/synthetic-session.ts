/**
 * One synthetic coding-agent session: requests, their prompts as block runs, outputs and pauses. Every quantity has a keyed stream of its
 * own with a fixed count of numbers per request, so that switching one feature on never shifts the draws of another.
 * Source: trace specification 7.8; parameters: sim/workload/data/generator.json.
 */
import { exp } from '../../../control/math.ts';
import { STOPS } from '../../../traces/columns.ts';
import { pushRun } from '../../../traces/run-list.ts';
import {
  type AgentDraft,
  emptyAgent,
  emptyRequest,
  emptySession,
  labelBreaks,
  type RequestDraft,
  type SessionDraft,
} from '../../../traces/session-draft.ts';
import { choice, lognormal, mixture, normal, Stream, streamKey, uniformReal } from '../../kernel/draw.ts';
import { estimatedApiMs } from '../pauses.ts';
import {
  BREAK_KEPT,
  breakProbability,
  CLIENTS,
  COMPACTION,
  CONTEXT_LIMIT,
  FIRST_EXTRA,
  HUMAN_TURN,
  NEW_TOKENS,
  OUTPUT,
  PAUSE,
  type PauseFit,
  REQUESTS,
  TAIL_LOSS,
} from './generator-parameters.ts';
import { addSubAgents } from './sub-agents.ts';

/** Tokens of a block id. */
export const SYNTHETIC_BLOCK_TOKENS = 64;

/** Choices of the generator; see {@link SYNTHETIC_DEFAULTS}. */
export interface SyntheticOptions {
  /** Which pauses are drawn. */
  readonly pauses: PauseFit;
  /** Only sessions that start fresh; else some resume an older one with a long first prompt. */
  readonly freshOnly: boolean;
  /** Share of sessions with nested agents, 0..1; uncalibrated. The corpus has 0.024. */
  readonly subAgents: number;
  /** Factor on the probability of a broken prefix, >= 0; 1 = as fitted, 0 = prompts only grow, but for compaction. */
  readonly breaks: number;
}

/** Sessions as fitted, without nested agents. */
export const SYNTHETIC_DEFAULTS: SyntheticOptions = { pauses: 'debiased', freshOnly: false, subAgents: 0, breaks: 1 };

const TOOL = STOPS.indexOf('tool');
const TURN = STOPS.indexOf('turn');
const CLIENT_WEIGHTS = CLIENTS.map((c) => c.sessions);
const KEPT_WEIGHTS = BREAK_KEPT.map((k) => k.p);

/** Session `index` of a replication. Cost O(requests). Throws for shares out of range. */
export function syntheticSession(seed: number, replication: number, index: number, options: SyntheticOptions): SessionDraft {
  const name = `synthetic-${String(index).padStart(5, '0')}`;
  const draft = emptySession(name);
  const open = (purpose: string): Stream => new Stream(streamKey(seed, replication, `synthetic/${purpose}`, name));
  const root = new RootWriter(open, options).write();
  draft.agents.push(root);
  if (options.subAgents > 0) addSubAgents(draft, open('sub-agents'), options.subAgents);
  return draft;
}

/** Writes the root agent of one session. */
class RootWriter {
  readonly #options: SyntheticOptions;
  readonly #length: Stream;
  readonly #turns: Stream;
  readonly #output: Stream;
  readonly #pause: Stream;
  readonly #fresh: Stream;
  readonly #break: Stream;
  readonly #tail: Stream;
  readonly #agent: AgentDraft;
  readonly #prefix: number;
  #context: number;
  readonly #limit: number;
  #nextId = 0;

  constructor(open: (purpose: string) => Stream, options: SyntheticOptions) {
    this.#options = options;
    this.#length = open('length');
    this.#turns = open('turns');
    this.#output = open('output');
    this.#pause = open('pause');
    this.#fresh = open('new');
    this.#break = open('break');
    this.#tail = open('tail');
    const start = open('start');
    const client = CLIENTS[choice(start, CLIENT_WEIGHTS)]!;
    const { model, toolTokens, systemTokens } = client;
    this.#agent = { ...emptyAgent('root', -1, model), toolTokens, systemTokens };
    this.#prefix = toolTokens + systemTokens;
    const extra = mixture(start, options.freshOnly ? FIRST_EXTRA.fresh : FIRST_EXTRA.all);
    this.#context = Math.round(this.#prefix + extra);
    const large = start.double() < CONTEXT_LIMIT.pLarge || this.#context > CONTEXT_LIMIT.largeFrom;
    this.#limit = large ? CONTEXT_LIMIT.large : CONTEXT_LIMIT.small;
  }

  write(): AgentDraft {
    const agent = this.#agent;
    const count = Math.round(mixture(this.#length, REQUESTS));
    let left = this.#turnLength();
    let startMs = 0;
    let pauseMs = Number.NaN;
    let ids = this.#grow([], 0, this.#context);
    for (let i = 0; ; i++) {
      const isTurn = left <= 1;
      const request = this.#request(startMs, ids, isTurn);
      request.pauseMs = pauseMs;
      request.debiasedMs = pauseMs;
      agent.requests.push(request);
      if (i + 1 >= count) break;
      const kind = isTurn ? 'human' : 'tool';
      const pauseS = mixture(this.#pause, PAUSE[this.#options.pauses][kind]);
      const newTokens = Math.round(mixture(this.#fresh, NEW_TOKENS[kind]));
      left = isTurn ? this.#turnLength() : left - 1;
      ids = this.#nextPrompt(request, pauseS, newTokens);
      pauseMs = Math.round(pauseS * 1000);
      startMs += request.apiEstMs + pauseMs;
    }
    labelBreaks(agent, SYNTHETIC_BLOCK_TOKENS);
    return agent;
  }

  #turnLength(): number {
    const stream = this.#turns;
    const isOne = stream.double() < HUMAN_TURN.pOne;
    const length = lognormal(stream, HUMAN_TURN.median, HUMAN_TURN.sigma);
    return isOne ? 1 : Math.max(HUMAN_TURN.min, Math.round(length));
  }

  #request(startMs: number, runs: number[], isTurn: boolean): RequestDraft {
    const outTokens = Math.max(1, Math.round(mixture(this.#output, isTurn ? OUTPUT.turn : OUTPUT.tool)));
    const request = emptyRequest(startMs, this.#context, outTokens, this.#agent.model, runs);
    request.stop = isTurn ? TURN : TOOL;
    request.apiEstMs = estimatedApiMs(this.#context, outTokens);
    return request;
  }

  /** Length and blocks of the prompt after `request`, pause and new tokens; steps 4 to 6 of the specification. */
  #nextPrompt(request: RequestDraft, pauseS: number, newTokens: number): number[] {
    const stream = this.#break;
    const before = this.#context;
    const isForced = stream.double() < COMPACTION.pPerRequest;
    const summary = COMPACTION.summary.median * exp(COMPACTION.summary.sigma * normal(stream));
    const u = stream.double();
    const kept = choice(stream, KEPT_WEIGHTS);
    const share = uniformReal(stream, BREAK_KEPT[3]!.from!, BREAK_KEPT[3]!.to!);
    const loss = this.#tail.double();
    let next = before + request.outTokens + newTokens;
    let keptTokens = before;
    let lost = 0;
    if (next > this.#limit || isForced) {
      next = Math.round(this.#prefix + summary);
      keptTokens = this.#prefix;
    } else if (u < this.#options.breaks * breakProbability(pauseS + (2 * request.apiEstMs) / 1000)) {
      keptTokens = [this.#prefix, this.#agent.toolTokens, 0, before * share][kept]!;
    } else {
      let sum = 0;
      const hit = TAIL_LOSS.find((t) => {
        sum += t.p;
        return loss < sum;
      });
      lost = hit?.blocks ?? 0;
    }
    const common = Math.floor(Math.min(keptTokens, next) / SYNTHETIC_BLOCK_TOKENS) - lost;
    const had = Math.floor(before / SYNTHETIC_BLOCK_TOKENS);
    this.#context = next;
    return this.#grow(request.runs, Math.max(0, Math.min(common, had)), next);
  }

  /** The first `keptBlocks` of `runs`, then new consecutive ids up to the full blocks of `tokens`. */
  #grow(runs: readonly number[], keptBlocks: number, tokens: number): number[] {
    const grown: number[] = [];
    let left = keptBlocks;
    for (let i = 0; i < runs.length && left > 0; i += 2) {
      const length = Math.min(left, runs[i + 1]! - runs[i]! + 1);
      pushRun(grown, runs[i]!, runs[i]! + length - 1);
      left -= length;
    }
    const fresh = Math.floor(tokens / SYNTHETIC_BLOCK_TOKENS) - keptBlocks;
    if (fresh > 0) {
      pushRun(grown, this.#nextId, this.#nextId + fresh - 1);
      this.#nextId += fresh;
    }
    return grown;
  }
}
