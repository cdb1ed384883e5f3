/**
 * `npm run results`: reads per write and hit shares of the bundled agent trace by population, beside published figures of the same kind of
 * population, written to docs/results/headline.md. Pure arithmetic of the trace; nothing is simulated.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { thousands } from '../reports/text/numbers.ts';
import { findPackageRoot } from '../scenarios/presets.ts';
import { bundledTracePath } from '../traces/bundled.ts';
import { type Reuse, reusePopulations, type SessionLength, type Spread } from '../traces/inspection/reuse-populations.ts';
import { readTrace } from '../traces/read.ts';

/** Around the 42 calls of the session that NVIDIA published. */
const LIKE_NVIDIA: SessionLength = { from: 38, to: 46 };

const NVIDIA =
  '[NVIDIA Dynamo, Full-Stack Optimizations for Agentic Inference](https://docs.nvidia.com/dynamo/v1.6.0/digest/agentic-inference), March 2026';
const WEKA =
  '[kv-cache-tester, docs/trace_replay_tester.md](https://github.com/callanjfox/kv-cache-tester/blob/19c263bd21cfab667b2e87406ac6701e8d452f18/docs/trace_replay_tester.md)';

/** Writes the document; returns its path. */
export async function headlineResults(): Promise<string> {
  const path = join(findPackageRoot(), 'docs/results/headline.md');
  writeFileSync(path, await headlineText());
  return path;
}

/** The document. Cost: reads the bundled sample, about a second. */
export async function headlineText(): Promise<string> {
  const trace = await readTrace(bundledTracePath('weka-dev@1')!);
  const { root, tree, teams, session, sessionOfLength, laterRequestHitPct } = reusePopulations(trace, LIKE_NVIDIA);
  const perSession = 'hit median 96.9, quartiles 91.1 and 98.5, mean 93.6 (642 sessions) [b]';
  const rows: readonly (readonly string[])[] = [
    ['one session, root requests', ...ofSessions(session), perSession],
    [
      `one session of ${LIKE_NVIDIA.from} to ${LIKE_NVIDIA.to} requests, root`,
      ...ofSessions(sessionOfLength),
      '11.7 reads per write (one session, 42 calls) [a]',
    ],
    [
      'one root request after the first',
      `${thousands(laterRequestHitPct.n)} requests`,
      '',
      spreadText(laterRequestHitPct, 1),
      'hit 85 to 97 [a]',
    ],
    ['all sessions, root requests', ...ofReuse(root), ''],
    ['all sessions, trees of root and nested agents', ...ofReuse(tree), ''],
    ['sessions with nested agents, trees', ...ofReuse(teams), 'hit 97.2 (one team of 4 agents) [a]'],
  ];
  const heads = ['population', 'counted', 'reads per write', 'hit, %', 'published of such a population'];
  return `${[
    '# Reads per write and hit shares, by population',
    '',
    'Written by `npm run results`; do not edit. The bundled agent trace (weka_dev, 120 Claude Code sessions, 64-token blocks) against one cache that never forgets;',
    'sessions share nothing. *Reads per write*: block hits per distinct block. *Hit*: share of all input tokens, first requests included. Of single sessions and requests:',
    'median (P10 to P90; mean). A published figure stands in the row of its own population and says nothing about the others.',
    '',
    `| ${heads.join(' | ')} |`,
    '| --- | --- | ---: | ---: | --- |',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    'Why the populations differ: a session that lives longer reads its prefix more often, and long sessions dominate the pooled figures; the median session does not.',
    'The published session reads 891 k tokens in 42 calls, 21 k a call; requests of the sample have 104 k at the median: who starts with a long context reads it again from the second call on.',
    'Figures of [a] come from a provider whose cache expires and shares system prompts between sessions; those of [b] from a larger selection of the same recordings.',
    '',
    `[a] ${NVIDIA}`,
    '',
    `[b] ${WEKA}`,
  ].join('\n')}\n`;
}

function ofSessions({ hitPct, readsPerWrite }: { readonly hitPct: Spread; readonly readsPerWrite: Spread }): string[] {
  return [`${hitPct.n} sessions`, spreadText(readsPerWrite, 1), spreadText(hitPct, 1)];
}

function ofReuse({ sessions, requests, readsPerWrite, hitPct }: Reuse): string[] {
  return [`${thousands(requests)} requests, ${sessions} sessions`, readsPerWrite.toFixed(2), hitPct.toFixed(2)];
}

function spreadText({ p10, p50, p90, mean }: Spread, digits: number): string {
  return `${p50.toFixed(digits)} (${p10.toFixed(digits)} to ${p90.toFixed(digits)}; ${mean.toFixed(digits)})`;
}
