/** Synthetic traces: sessions drawn from the fitted distributions of coding agents, as columns like any trace that was read. */
import { createHash } from 'node:crypto';
import type { Trace } from '../../../traces/columns.ts';
import { TraceBuilder } from '../../../traces/trace-builder.ts';
import { PROVENANCE } from './generator-parameters.ts';
import { SYNTHETIC_BLOCK_TOKENS, type SyntheticOptions, syntheticSession } from './synthetic-session.ts';

/** Name of the generator and version of its parameters. */
export const GENERATOR = 'coding-agent-weka@1';

/** What is known to be wrong with the sessions drawn; printed with results. Source: trace specification 7.8. */
export const KNOWN_MISFIT =
  'Lengths and first prompts are drawn independently: short sessions have too small contexts (P10 29 k instead of 43 k), the longest are too heavy';

/**
 * `count` sessions of a replication, 1..1,000,000. Equal seed, replication and options give equal bytes; a larger count only appends.
 * Cost about 12 us per request. Ids are per session, so prefixes are shared as `workload.synth.with.sharing` says.
 */
export function synthesizeTrace(seed: number, replication: number, count: number, options: SyntheticOptions): Trace {
  const builder = new TraceBuilder({ idScope: 'session', blockTokens: SYNTHETIC_BLOCK_TOKENS, partialTail: 'none' });
  let inTokens = 0;
  for (let i = 0; i < count; i++) {
    const session = syntheticSession(seed, replication, i, options);
    for (const agent of session.agents) for (const request of agent.requests) inTokens += request.inTokens;
    builder.append(session);
  }
  const digest = createHash('sha256').update(JSON.stringify({ GENERATOR, seed, replication, count, options })).digest('hex');
  const counts = { sessions: builder.sessionCount, requests: builder.requestCount, inTokens };
  return builder.finish(
    {
      kvcast: 'trace',
      version: 1,
      blockTokens: SYNTHETIC_BLOCK_TOKENS,
      idScope: 'session',
      partialTail: 'none',
      source: {
        format: 'synthetic',
        name: GENERATOR,
        version: '1',
        digest: `sha256:${digest}`,
        licence: 'Apache-2.0',
        url: PROVENANCE.corpus,
      },
      interpretation: { pauseRule: 'none', apiEstimate: 'weka-l1', subAgentRule: 'edges', chains: 'off', quantumMs: 1 },
      counts,
    },
    [],
  );
}
