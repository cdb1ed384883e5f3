/** The split of a difference among the parts that differ: one row per part, largest first, and what no part does alone. */
import type { Difference, ExplainSwap } from '../../sim/experiment/explain-result.ts';
import { decimalsFor, fixed, signed } from './numbers.ts';
import type { Paint } from './paint.ts';
import { type Cell, table, wrap } from './table.ts';

const COLUMNS = 100;
const RIGHT = { align: 'right' as const };
const LEFT = { align: 'left' as const };

/** Lines of the split, at most 100 columns. */
export function swapLines({ parts, interaction, mixtures, replications }: ExplainSwap, paint: Paint): string[] {
  if (replications === 0) return ['No replication has a value in every mixture: nothing to split.'];
  const whole = mixtures.at(-1)!.value - mixtures[0]!.value;
  const d = Math.min(6, decimalsFor(null, whole) + 1);
  const interval = ({ lo, hi }: Difference): string => (lo === null || hi === null ? '' : `[${signed(lo, d)}, ${signed(hi, d)}]`);
  const percent = (part: number): string => (whole === 0 ? '' : fixed((100 * part) / whole, 1));
  const bySize = [...parts].sort((a, b) => Math.abs(b.delta) - Math.abs(a.delta));
  const body = bySize.map((part) => [
    ...[`  ${part.part}`, signed(part.delta, d), percent(part.delta), interval(part), signed(part.alone, d), signed(part.last, d)],
  ]);
  const heads = ['Part', 'share, s', '% of it', '95 %', 'alone, s', 'last, s'].map((text): Cell => ({ text, tone: 'dim' }));
  const total = ['  total', signed(whole, d), percent(whole), '', '', ''];
  const meaning =
    'share: what the part changes on average over every order in which the parts could be changed; alone: changed first; last: changed ' +
    `after all others. Beyond the sum of what each does alone: ${signed(interaction.delta, d)} s ${interval(interaction)}`;
  return [
    ...table([LEFT, RIGHT, RIGHT, LEFT, RIGHT, RIGHT], [heads, ...body, total], paint),
    ...wrap(`${meaning.trimEnd()}.`, COLUMNS).map((line) => paint(line, 'dim')),
  ];
}
