/** The text of a TTL curve: what each TTL buys and holds, and where the curve bends. */
import { TTL_METRICS, type TtlCurve } from '../../sim/experiment/ttl-curve.ts';
import { labelOf, labelWithUnit } from './labels.ts';
import { decimalsFor, fixed } from './numbers.ts';
import type { Paint } from './paint.ts';
import { alignDecimals, type Cell, table, wrap } from './table.ts';

const COLUMNS = 100;
const HEADS: Readonly<Record<string, readonly [string, string]>> = {
  'kv.hit.total': ['KV hit', 'total, %'],
  'kv.claimedPerActive': ['claimed', 'per active'],
  'kv.idlePerActive': ['idle', 'per active'],
  'turn.ttft.p(50)': ['TTFT', 'p50, s'],
  'turn.ttft.p(99)': ['TTFT', 'p99, s'],
  'cost.usdPerSession': ['USD per', 'finished session'],
};

/** Lines of one curve, means and half-widths of 95 % intervals. */
export function ttlCurveLines(curve: TtlCurve, manyArms: boolean, paint: Paint): string[] {
  const title = `TTL curve${manyArms ? ` of ${curve.arm}` : ''}: what ${curve.axis} buys and what it holds`;
  const columns = TTL_METRICS.map((expr) => {
    const { factor } = labelOf(expr, '');
    return alignDecimals(curve.points.map(({ metrics }) => valueText(metrics[expr]!, factor)));
  });
  const head = (line: 0 | 1): Cell[] =>
    [line === 1 ? 'ttl' : '', ...TTL_METRICS.map((expr) => HEADS[expr]![line])].map((text) => ({ text, tone: 'dim' }));
  const rows = curve.points.map(({ ttl }, i) => {
    const isKnee = curve.knee !== null && ttl === curve.knee.ttl;
    return [ttl, ...columns.map((c) => c[i]!), isKnee ? { text: '◁ knee', tone: 'good' as const } : ''];
  });
  const right = { align: 'right' as const };
  const left = { align: 'left' as const };
  const lines = table([right, ...TTL_METRICS.map(() => left), left], [head(0), head(1), ...rows], paint);
  return [paint(title, 'strong'), ...lines, ...wrap(kneeText(curve), COLUMNS)];
}

function kneeText({ knee, price, points }: TtlCurve): string {
  const per = labelWithUnit(labelOf(price, ''));
  if (knee === null)
    return `No knee: over ${points.length} TTLs the hits follow the price (${per}) too evenly, or one of them does not change. More or wider values of the axis may show one.`;
  const where = knee.lo === knee.hi ? `${knee.ttl} in every resample` : `${knee.ttl}, 95 % between ${knee.lo} and ${knee.hi}`;
  const seldom = knee.found < 0.9 ? ` Only ${Math.round(100 * knee.found)} % of the resamples bend at all.` : '';
  return `Knee of the hits over ${per}: ${where}. Up to it a unit of price buys more hits than the curve's average, beyond it fewer; what a hit is worth is yours to say.${seldom}`;
}

function valueText(
  { mean, lo, hi }: { readonly mean: number | null; readonly lo: number | null; readonly hi: number | null },
  factor: number,
): string {
  if (mean === null) return 'n/a';
  const half = lo === null || hi === null ? null : ((hi - lo) / 2) * factor;
  const digits = decimalsFor(half, mean * factor);
  return half === null ? fixed(mean * factor, digits) : `${fixed(mean * factor, digits)} ±${fixed(half, digits)}`;
}
