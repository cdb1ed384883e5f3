/** The text of `bound`: one sentence, the headroom table of one arm, the regret of every arm, what oracles are not. */
import type { BoundArm, BoundResult, Estimate } from '../../sim/experiment/bound-result.ts';
import type { Result } from '../../sim/experiment/result.ts';
import { partialBanner } from './comparison.ts';
import { labelOf } from './labels.ts';
import { decimalsFor, fixed, thousands } from './numbers.ts';
import type { Paint } from './paint.ts';
import { type Cell, table, wrap } from './table.ts';
import { trustLines } from './trust.ts';

const COLUMNS = 100;
/** Longer names of arms stand on a line of their own. */
const NAME = 24;

/** What a row stands for. */
const NAMES: Readonly<Record<string, string>> = {
  'this arm': 'this arm',
  ttl: 'ttl (rented room)',
  belady: 'belady (this order)',
  router: 'router (pooled, LRU)',
  'belady + router': 'belady + router',
  infinite: 'infinite (placed so)',
  'infinite + router': 'infinite + router',
};

/** Lines of a bound. `result` is that of the simulated arms. */
export function boundText(bound: BoundResult, result: Result, paint: Paint): string {
  const arm = bound.arms.find((a) => a.name === bound.chosen)!;
  const out: string[] = bound.truncated ? [...partialBanner(result)] : [];
  out.push(...wrap(answer(arm), COLUMNS).map((line) => paint(line, 'strong')), '');
  out.push(...headroomTable(arm, paint), '');
  if (bound.arms.length > 1) out.push(...regretTable(bound, paint), '');
  if (bound.deadlines.length > 0) out.push(...deadlineTable(bound, paint), '');
  for (const line of [...notes(bound, arm), ...bound.caveats]) out.push(...wrap(line, COLUMNS));
  const primaries = result.metrics.filter((m) => m.expr === bound.scenario.primary);
  out.push(...trustLines({ ...result, metrics: primaries, comparisons: [] }, paint));
  return `${out.join('\n')}\n`;
}

/** One sentence: which foresight would be worth most. */
function answer(arm: BoundArm): string {
  const [first] = arm.rows;
  const of = (oracle: string) => arm.rows.find((r) => r.oracle === oracle)?.regret?.mean ?? null;
  const parts = [
    [of('belady'), 'perfect eviction'],
    [of('router'), 'one pooled cache'],
    [of('belady + router'), 'both'],
  ] as const;
  const known = parts.filter(([regret]) => regret !== null);
  const hit = first?.hit.mean == null ? 'n/a' : `${fixed(100 * first.hit.mean, 1)} %`;
  if (known.length === 0) return `${arm.name}: KV hit ${hit}.`;
  const list = known.map(([regret, name]) => `${fixed(100 * regret!, 1)} % against ${name}`).join(', ');
  const [eviction, placement] = [of('belady'), of('router')];
  const verdict =
    eviction === null || placement === null || Math.abs(eviction - placement) < 0.0005
      ? ''
      : `: ${placement > eviction ? 'placement' : 'eviction'} is worth more`;
  return `${arm.name}: KV hit ${hit}, regret ${list}${verdict}.`;
}

function headroomTable(arm: BoundArm, paint: Paint): string[] {
  const { primary } = arm;
  const label = labelOf(primary.expr, primary.unit);
  const dim = (text: string): Cell => ({ text, tone: 'dim' });
  const [above, below] = twoLines(label.label);
  const heads = [
    [dim(arm.name), dim('KV hit'), dim('recomputed'), dim(above), dim('regret of'), dim('this arm'), ''],
    ['', dim('%'), dim('M tokens'), dim(label.unit === '' ? below : `${below}, ${label.unit}`), dim('%'), dim('95 %'), dim('label')],
  ];
  const rows = arm.rows.map((row): (Cell | string)[] => [
    `  ${NAMES[row.oracle] ?? row.oracle}`,
    meanOf(row.hit, 100, 1),
    meanOf(row.recomputedTokens, 1e-6, 1),
    primaryText(row.label === 'measured' ? primary : row.primary, label.factor),
    meanOf(row.regret, 100, 2),
    interval(row.regret, 100, 2),
    row.label === 'measured' ? '' : row.label,
  ]);
  const right = { align: 'right' as const };
  const left = { align: 'left' as const };
  return table([{ ...left, maxWidth: NAME }, right, right, right, right, left, left], [...heads, ...rows], paint);
}

function primaryText(e: Estimate | undefined, factor: number): string {
  return e === undefined ? '-' : meanOf(e, factor, decimalsOf(e, factor), true);
}

/** Regret of every arm against every oracle, in the order of the scenario: no ranking. */
function regretTable(bound: BoundResult, paint: Paint): string[] {
  const oracles = bound.arms[0]!.rows.slice(1).flatMap((r) => (r.primary === undefined ? [r.oracle] : []));
  const dim = (text: string): Cell => ({ text, tone: 'dim' });
  const split = oracles.map((name) => name.split(' + '));
  const heads = [
    [dim('Regret of every arm, %'), ...split.map((s) => dim(s.length > 1 ? `${s[0]} +` : ''))],
    ['', ...split.map((s) => dim(s.at(-1)!))],
  ];
  const rows = bound.arms.map((arm) => [
    `  ${arm.name}`,
    ...oracles.map((oracle) => meanOf(arm.rows.find((r) => r.oracle === oracle)?.regret, 100, 1, true)),
  ]);
  return table([{ align: 'left', maxWidth: NAME }, ...oracles.map(() => ({ align: 'right' as const }))], [...heads, ...rows], paint);
}

/** A heading on two lines, broken before its last word. */
function twoLines(text: string): [string, string] {
  const at = text.lastIndexOf(' ');
  return at < 0 ? ['', text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Fixed deadlines on the trace itself beside those that know the future. */
function deadlineTable({ deadlines, workload }: BoundResult, paint: Paint): string[] {
  const dim = (text: string): Cell => ({ text, tone: 'dim' });
  const heads = [
    [dim('The trace itself'), dim('hit'), dim('R'), dim('clairvoyant hit'), dim('clairvoyant R'), dim('ski rental'), dim('random')],
    [dim(`ttl, ${workload.pauses} pauses`), dim('%'), '', dim('% at this R'), dim('at this hit'), dim('x cost'), dim('x cost')],
  ];
  const rows = deadlines.map((row) => [
    `  ${formatTtl(row.ttlMs)}`,
    fixed(100 * row.hit, 1),
    fixed(row.idlePerActive, 2),
    fixed(100 * row.clairvoyantHit, 1),
    fixed(row.clairvoyantIdlePerActive, 2),
    fixed(row.skiRentalCost, 2),
    fixed(row.randomisedCost, 2),
  ]);
  const right = { align: 'right' as const };
  return [
    ...table([{ align: 'left' }, right, right, right, right, right, right], [...heads, ...rows], paint),
    paint('R: idle KV per active KV. x cost: rent and recomputation, clairvoyant at the same price = 1.', 'dim'),
  ];
}

function formatTtl(ms: number): string {
  return ms >= 3_600_000 ? `${ms / 3_600_000} h` : ms >= 60_000 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}

function notes(bound: BoundResult, arm: BoundArm): string[] {
  const lines: string[] = [];
  const s = arm.seconds;
  if (s !== null && s.arm.mean !== null)
    lines.push(
      `Prefill saved: ${thousands(s.arm.mean)} s; ${thousands(s.costAware.mean!)} s by cost-aware eviction (heuristic, regret ${percent(s.costAwareRegret)}), at most ${thousands(s.dual.mean!)} s by any (bound, regret ${percent(s.dualRegret)}).`,
    );
  if (arm.ttlCutMs !== null)
    lines.push(`Deadlines that know the future bridge pauses of up to ${fixed(arm.ttlCutMs / 1000, 0)} s in the room there is.`);
  const anew = arm.rows.find((r) => r.primary !== undefined);
  const { primary } = arm;
  if (anew?.primary?.mean != null && primary.mean !== null && anew.hit.mean! > arm.rows[0]!.hit.mean!) {
    const isWorse = bound.higherIsBetter ? anew.primary.mean < primary.mean : anew.primary.mean > primary.mean;
    if (isWorse) lines.push(`Memory without limit hits more and has the worse ${labelOf(primary.expr, '').label}: the two disagree.`);
  }
  const hitOf = (a: BoundArm): number => a.rows[0]!.hit.mean ?? -1;
  const most = bound.arms.reduce((a, b) => (hitOf(b) > hitOf(a) ? b : a));
  if (bound.arms.length > 1 && most.name !== arm.name)
    lines.push(`${most.name} has the most hits, ${arm.name} is looked at: hits and ${labelOf(bound.scenario.primary, '').label} disagree.`);
  return lines;
}

function meanOf(e: Estimate | undefined, factor: number, decimals: number, withHalf = false): string {
  if (e === undefined) return '';
  if (e.mean === null) return 'n/a';
  const mean = fixed(e.mean * factor, decimals);
  return withHalf && e.lo !== null && e.hi !== null ? `${mean} ±${fixed(((e.hi - e.lo) / 2) * factor, decimals)}` : mean;
}

function percent(e: Estimate): string {
  return `${meanOf(e, 100, 2, true)} %`;
}

function interval(e: Estimate | undefined, factor: number, decimals: number): string {
  if (e === undefined || e.lo === null || e.hi === null) return '';
  return `[${fixed(e.lo * factor, decimals)}, ${fixed(e.hi * factor, decimals)}]`;
}

/** Of the primary metric, whose size nobody knows here. */
function decimalsOf(e: Estimate, factor: number): number {
  return e.mean === null ? 0 : decimalsFor(e.lo === null || e.hi === null ? null : ((e.hi - e.lo) / 2) * factor, e.mean * factor);
}
