/** From the token sums of all replications of an arm to shares. Source: experiments specification 7.2. */
import { ROLL_UPS, type RollUp } from '../measure/causes.ts';
import type { SourceSums } from '../measure/token-sources.ts';
import type { JobResult } from './job-result.ts';
import type { CauseRow, SourceShares } from './result.ts';

/** Shares of all prompt tokens of first admissions; all 0 if nothing was judged. */
export function causeRow(arm: string, results: readonly Pick<JobResult, 'sources'>[]): CauseRow {
  const sources = results.map((r) => r.sources);
  const prompt = sources.reduce((sum, s) => sum + s.prompt, 0);
  const kinds = [...new Set(sources.flatMap((s) => Object.keys(s.kinds)))];
  return {
    arm,
    ...shares(sources),
    causes: summed(
      sources.map((s) => s.causes),
      prompt,
    ),
    flagged: summed(
      sources.map((s) => s.flagged),
      prompt,
    ),
    kinds: Object.fromEntries(
      kinds.map((kind) => {
        const sums = sources.flatMap((s) => s.kinds[kind] ?? []);
        return [
          kind,
          {
            prompt: ratio(
              sums.reduce((sum, s) => sum + s.prompt, 0),
              prompt,
            ),
            ...shares(sums),
          },
        ];
      }),
    ),
  };
}

function shares(sums: readonly SourceSums[]): SourceShares {
  const prompt = sums.reduce((sum, s) => sum + s.prompt, 0);
  const share = (key: keyof SourceSums): number =>
    ratio(
      sums.reduce((sum, s) => sum + s[key], 0),
      prompt,
    );
  return {
    hbm: share('hbm'),
    host: share('host'),
    ...(Object.fromEntries(ROLL_UPS.map((key) => [key, share(key)])) as Record<RollUp, number>),
    existed: share('existed'),
    captured: share('captured'),
    delivered: share('delivered'),
  };
}

/** Sums of equal names over `of`, in the order of first use. */
function summed(rows: readonly Readonly<Partial<Record<string, number>>>[], of: number): Record<string, number> {
  const out: Record<string, number> = {};
  for (const row of rows) for (const [name, tokens] of Object.entries(row)) out[name] = (out[name] ?? 0) + (tokens ?? 0);
  for (const name of Object.keys(out)) out[name] = ratio(out[name]!, of);
  return out;
}

function ratio(part: number, of: number): number {
  return of === 0 ? 0 : part / of;
}
