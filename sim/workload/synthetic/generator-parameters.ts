/** The fitted parameters of agent sessions, as shipped in sim/workload/data/generator.json (see the README there for provenance). */
import type { LognormalMixture } from '../../kernel/draw.ts';
import file from '../data/generator.json' with { type: 'json' };

/** A mixture as the file writes it; lengths in tokens or requests, pauses in s. */
interface FileMixture {
  readonly components: readonly { readonly weight: number; readonly median: number; readonly sigma: number }[];
  readonly point_mass?: { readonly p: number; readonly value: number };
  readonly min?: number;
  readonly max?: number;
}

/** Model and shared leading tokens of one kind of client; `sessions` is its frequency. */
export interface ClientPrefix {
  readonly model: string;
  readonly toolTokens: number;
  readonly systemTokens: number;
  readonly sessions: number;
}

/** Which pauses are drawn: without the service time that the recorder counted twice, or as recorded. */
export type PauseFit = 'debiased' | 'recorded';

/** Mixture of a file entry. */
export function mixtureOf(entry: FileMixture): LognormalMixture {
  const { components, point_mass, min, max } = entry;
  return {
    components,
    ...(point_mass === undefined ? {} : { pointMass: point_mass }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  };
}

/** Without the last component, the others scaled to weight 1. */
function withoutLast(mixture: LognormalMixture): LognormalMixture {
  const components = mixture.components.slice(0, -1);
  const total = components.reduce((sum, c) => sum + c.weight, 0);
  return { ...mixture, components: components.map((c) => ({ ...c, weight: c.weight / total })) };
}

const { session, request, pause, prefix_break, compaction, prefix_registry, subagents, tail_loss_blocks } = file;
const firstExtra = mixtureOf(session.first_request_extra);

/** Name of the fitted corpus and method, for headers of generated traces. */
export const PROVENANCE = file.provenance;

/** Requests per session, whole after rounding, 3..1200. */
export const REQUESTS = mixtureOf(session.requests);
/** Requests of one human turn: 1 with `pOne`, else a lognormal of at least `min`. */
export const HUMAN_TURN = {
  pOne: session.requests_per_human_turn.p_one,
  median: session.requests_per_human_turn.else.median,
  sigma: session.requests_per_human_turn.else.sigma,
  min: session.requests_per_human_turn.else.min,
} as const;
/** Tokens of the first request beyond tools and system prompt; `fresh` leaves out the sessions that resume an older one. */
export const FIRST_EXTRA = { all: firstExtra, fresh: withoutLast(firstExtra) } as const;
/** Context limits, tokens: the large one for a first request above `largeFrom`, or with probability `pLarge`. */
export const CONTEXT_LIMIT = { small: 160_000, large: 960_000, pLarge: 0.17, largeFrom: 165_000 } as const;
/** New tokens of a prompt beyond the previous prompt and its answer, by the pause before it. */
export const NEW_TOKENS = { tool: mixtureOf(request.new_tokens_after_tool), human: mixtureOf(request.new_tokens_after_human) } as const;
/** Output tokens by stop reason. */
export const OUTPUT = { tool: mixtureOf(request.output_tool_use), turn: mixtureOf(request.output_end_turn) } as const;
/** Client pauses in s. */
export const PAUSE = {
  debiased: { tool: mixtureOf(pause.tool_debiased), human: mixtureOf(pause.human_debiased) },
  recorded: { tool: mixtureOf(pause.tool_recorded), human: mixtureOf(pause.human_recorded) },
} as const satisfies Record<PauseFit, { readonly tool: LognormalMixture; readonly human: LognormalMixture }>;
/** Probability that a transition loses its prefix, by the gap between starts in s (`le` null = above all), times `scale`. */
export const BREAK_HAZARD = {
  steps: prefix_break.hazard_by_start_gap_s.map((s) => ({ upToS: s.le ?? Number.POSITIVE_INFINITY, p: s.p })),
  scale: prefix_break.hazard_scale,
} as const;
/** What a broken prompt keeps, in the order of {@link BREAK_KEEPS}, with a uniform share of the old prompt for the last. */
export const BREAK_KEPT = prefix_break.kept;
export const BREAK_KEEPS = ['tools+system', 'tools', 'none', 'uniform'] as const;
/** Blocks lost at the end of an unbroken prompt. */
export const TAIL_LOSS = tail_loss_blocks;
/** Compaction: per request, and the size of the summary. */
export const COMPACTION = { pPerRequest: compaction.p_per_request, summary: compaction.summary_tokens } as const;
/** Kinds of clients with their frequencies. */
export const CLIENTS: readonly ClientPrefix[] = prefix_registry.rows.map(([model, toolTokens, systemTokens, sessions]) => ({
  model: prefix_registry.models[model!]!,
  toolTokens: toolTokens!,
  systemTokens: systemTokens!,
  sessions: sessions!,
}));
/** Nested agents; not calibrated. */
export const SUB_AGENTS = subagents;

/** Probability of a break after a gap of `gapS` between two starts, before compaction is drawn. */
export function breakProbability(gapS: number): number {
  const step = BREAK_HAZARD.steps.find((s) => gapS <= s.upToS)!;
  return BREAK_HAZARD.scale * step.p;
}
