/** Bugs of the router that the recordings of Dynamo must notice. */
import type { SeededBug } from '../seeded-bug.ts';

const FEATURES = { file: 'control/router/features.ts', suite: 'dynamo-kv', family: 'selector' } as const;
const BOOKINGS = { file: 'control/router/bookings.ts', suite: 'dynamo-kv', family: 'booking' } as const;
const FRACTIONS = { file: 'control/router/output-fractions.ts', suite: 'dynamo-kv', family: 'booking' } as const;
const MODEL = { file: 'control/router/modelled-prefill.ts', suite: 'dynamo-kv', family: 'booking' } as const;
const ELIGIBILITY = { file: 'control/router/eligibility.ts', suite: 'dynamo-kv', family: 'selector' } as const;
const ENGINE = { file: 'control/router/scoring-engine.ts', suite: 'dynamo-kv', family: 'selector' } as const;

/** One text replacement each; seeded-bugs.system.test.ts plays them. */
export const DYNAMO_ROUTER_BUGS: readonly SeededBug[] = [
  {
    ...FEATURES,
    id: 'router-credit-association',
    breaks: 'the HBM match decays before it is credited, which moves the last bit of a cost',
    from: '? c * phi * match.hbm[rank]! + h',
    to: '? c * (phi * match.hbm[rank]!) + h',
  },
  {
    ...FEATURES,
    id: 'router-disk-as-host',
    breaks: 'a block on disk is credited like one of the host',
    from: 'h * match.host[rank]! + k * (match.disk[rank]! + match.remote[rank]!)\n',
    to: 'h * match.host[rank]! + h * (match.disk[rank]! + match.remote[rank]!)\n',
  },
  {
    ...ELIGIBILITY,
    id: 'router-taint-linear',
    breaks: 'preferred weights are not bounded by tanh',
    from: 'exp(-tanh(sum))',
    to: 'exp(-sum)',
  },
  {
    ...ELIGIBILITY,
    id: 'router-required-ignored',
    breaks: 'required taints do not restrict',
    from: 'else if (!this.#carries(request.requiredTaints, rank)) dropped.tainted++;',
    to: '',
  },
  {
    ...ELIGIBILITY,
    id: 'router-all-busy',
    breaks: 'a fleet whose eligible ranks are all overloaded counts as empty',
    from: "if (dropped.overloaded > 0) return 'ALL_BUSY';",
    to: '',
  },
  {
    ...FEATURES,
    id: 'router-decay-floor',
    breaks: 'credit decays by all pending prefill, not by what lies above the least loaded eligible rank',
    from: 'const ahead = (input.bookings.prefillTokens[rank]! - minPrefill) / input.blockTokens;',
    to: 'const ahead = input.bookings.prefillTokens[rank]! / input.blockTokens;',
  },
  {
    ...FEATURES,
    id: 'router-decay-request',
    breaks: 'the decay is not relative to the blocks of the request',
    from: 'phi = 1 / (1 + decay * (ahead / Math.max(1, input.requiredBlocks)));',
    to: 'phi = 1 / (1 + decay * ahead);',
  },
  {
    ...FEATURES,
    id: 'router-cached-floor',
    breaks: 'cached tokens are rounded down',
    from: 'return Math.round(effectiveBlocks(input, rank) * input.blockTokens);',
    to: 'return Math.floor(effectiveBlocks(input, rank) * input.blockTokens);',
  },
  {
    ...FEATURES,
    id: 'router-shared-from-start',
    breaks: 'a shared cache is credited for blocks that the rank holds itself',
    from: 'beyond += Math.max(0, to - Math.max(from, own));',
    to: 'beyond += to - from;',
  },
  {
    ...FEATURES,
    id: 'router-unknown-load',
    breaks: 'a rank of unknown load is charged the blocks of the request',
    from: 'if (unknownLoad !== null) for (let i = 0; i < n; i++) if (unknownLoad[rows[i]!] === 1) out[i] = 0;',
    to: '',
  },
  {
    ...FEATURES,
    id: 'router-untracked-prefill-credit',
    breaks: 'a prefill pool takes its credit from the decode term when prefill is not tracked',
    from: "input.constants.c === 0 || input.stage === 'prefill') return;",
    to: 'input.constants.c === 0) return;',
  },
  {
    ...ELIGIBILITY,
    id: 'router-pin-order',
    breaks: 'a pin reports overload before it asks whether the worker is allowed',
    from: "if (request.allow !== undefined && !request.allow.includes(table.workers[pin] ?? '')) return 'PIN_NOT_ALLOWED';",
    to: "if (table.overloaded[pin] === 1) return 'PIN_OVERLOADED';\n    if (request.allow !== undefined && !request.allow.includes(table.workers[pin] ?? '')) return 'PIN_NOT_ALLOWED';",
  },
  {
    ...ENGINE,
    id: 'router-tie-slack',
    breaks: 'costs that nearly agree count as a tie',
    from: 'if (Math.abs(sign * scores[row]! - best) <= slack) spare[size++] = row;',
    to: 'if (Math.abs(sign * scores[row]! - best) <= slack + 0.5) spare[size++] = row;',
  },
  {
    ...ENGINE,
    id: 'router-factor-dropped',
    breaks: 'preferred taints do not change costs',
    from: "if (combine.kind === 'cost' && keys.factors != null) {",
    to: "if (combine.kind === 'product' && keys.factors != null) {",
  },
  {
    id: 'router-softmax-width',
    breaks: 'the softmax takes costs as they are, not by their width',
    file: 'control/router/softmax.ts',
    from: 'const width = (most - least) * temperature;',
    to: 'const width = temperature;',
    suite: 'dynamo-kv',
    family: 'selector',
  },
  {
    id: 'router-scan-slack',
    breaks: 'the cost scan looks for ranks below its bound only, so it misses ties',
    file: 'control/router/cost-scan.ts',
    from: 'if (key === Number.POSITIVE_INFINITY || key > limit) continue;',
    to: 'if (key === Number.POSITIVE_INFINITY || key >= limit - 1e-6 * Math.abs(limit)) continue;',
    suite: 'dynamo-kv',
    family: 'selector',
  },
  {
    ...BOOKINGS,
    id: 'router-fraction-late',
    breaks: 'what is left of the output is taken by blocks, not by tokens',
    from: 'osl > 0 ? Math.max(0, 1 - outputTokens / osl) : undefined',
    to: 'osl > 0 ? Math.max(0, 1 - (blocks * bs) / osl) : undefined',
  },
  {
    ...BOOKINGS,
    id: 'router-expiry-unpaced',
    breaks: 'old bookings are looked for at every booking',
    from: 'if (nowMs - this.#checkedMs[rank]! < checkMs) return;',
    to: 'if (nowMs < checkMs) return;',
  },
  {
    ...FRACTIONS,
    id: 'router-fraction-split',
    breaks: 'the upper part of a split run forgets its fraction',
    from: 'const { parent, branch, from, fraction } = lower;',
    to: 'const { parent, branch, from } = lower;\n  const fraction = 1;',
  },
  {
    ...FRACTIONS,
    id: 'router-fraction-shared',
    breaks: 'a fraction is set on blocks that others share',
    from: 'run !== null && run.sharers === 1; run = run.parent',
    to: 'run !== null && run.sharers <= 2; run = run.parent',
  },
  {
    ...FRACTIONS,
    id: 'router-active-round',
    breaks: 'weighted active blocks are rounded down',
    from: 'return Math.round(sum);',
    to: 'return Math.floor(sum);',
  },
  {
    ...MODEL,
    id: 'router-melt-round',
    breaks: 'molten prefill is rounded up',
    from: 'Math.floor((tokens * elapsedNs) / durationNs)',
    to: 'Math.ceil((tokens * elapsedNs) / durationNs)',
  },
  {
    ...MODEL,
    id: 'router-melt-capped',
    breaks: 'the oldest prefill melts no more than its own tokens',
    from: 'queue.unknown === 0 ?',
    to: 'queue.unknown < 0 ?',
  },
  {
    ...MODEL,
    id: 'router-melt-anchor',
    breaks: 'a prefill that ends behind the oldest leaves the anchor where it was',
    from: 'queue.anchorNs = Math.min(nowNs, queue.anchorNs + prefill.durationNs);',
    to: 'queue.anchorNs = Math.min(nowNs, queue.anchorNs);',
  },
  {
    id: 'router-loop-uncached',
    breaks: 'the whole prompt is booked as prefill, cached or not',
    file: 'control/router/scoring-router.ts',
    from: 'Math.max(request.promptTokens - cachedTokens(this.input, rank), 0)',
    to: 'Math.max(request.promptTokens - 0 * cachedTokens(this.input, rank), 0)',
    suite: 'dynamo-kv',
    family: 'loop',
  },
];
