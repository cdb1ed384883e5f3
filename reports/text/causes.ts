/** The texts about reuse and misses: what existed, what routing captured, what was served, and why the rest was missed. */
import { type CauseRow, type Result, ROLL_UPS, type RollUp } from '../../sim/experiment/result.ts';
import { stackedBar } from './bars.ts';
import { fixed } from './numbers.ts';
import type { Paint } from './paint.ts';
import { type Cell, table, width, wrap } from './table.ts';

const COLUMNS = 100;
/** Longer names of arms stand on a line of their own. */
const NAME = 30;
/** Causes below this share are not worth a word. */
const SMALL = 0.0005;

/** Roll-ups with a column of their own; the others share one. */
const SHOWN = ['compulsory', 'routing', 'capacity', 'ttl'] as const;
const AVOIDABLE = ROLL_UPS.filter((key) => key !== 'compulsory');

/** Two tables of a comparison, arms in the given order: the triple with the largest causes, and where prompt tokens came from. */
export function causeTables(result: Result, order: readonly string[], paint: Paint): string[] {
  if (result.causes.length === 0) return [];
  const sorted = [...result.causes].sort((a, b) => order.indexOf(a.arm) - order.indexOf(b.arm));
  let barColumns = 16;
  const plain = (text: string): string => text;
  while (barColumns > 8 && sourceTable(sorted, barColumns, plain).some((line) => width(line) > COLUMNS)) barColumns--;
  return [
    ...reuseTable(sorted, paint),
    '',
    ...sourceTable(sorted, barColumns, paint),
    paint('  █ HBM  ▒ host  · compulsory  ! avoidable', 'dim'),
  ];
}

/** Lines of one arm of a run. */
export function causeLines(row: CauseRow): string[] {
  const isolation = row.causes.isolation ?? 0;
  // What salts cost is nobody's loss of cache, but it is the price of a setting.
  const ofSalts = isolation < SMALL ? '' : ` (isolation ${percent(isolation)})`;
  const text = [
    `  prompt tokens, %: HBM ${percent(row.hbm)} · host ${percent(row.host)} · compulsory ${percent(row.compulsory)}${ofSalts} · avoidable ${percent(avoidable(row))}`,
    `  reuse, %: existed ${percent(row.existed)} · captured ${percent(row.captured)} · delivered ${percent(row.delivered)}`,
  ];
  const missed = largest(row, 4, 200);
  return missed === '' ? text : [...text, ...wrap(`  missed though known, %: ${missed}`, COLUMNS, 4)];
}

/** Names the largest avoidable roll-up under the baseline; null if it is not worth a sentence. */
export function mainCause(row: CauseRow): string | null {
  const [first] = AVOIDABLE.map((key) => [key, row[key]] as const).sort((a, b) => b[1] - a[1]);
  const [key, share] = first!;
  if (share < 0.005) return null;
  return `under ${row.arm} ${percent(share)} % of prompt tokens were recomputed ${WHY[key]}`;
}

const WHY: Readonly<Record<RollUp, string>> = {
  compulsory: 'because nobody had them',
  inflight: 'because another request was just computing them (in_flight)',
  tier: 'although a lower tier held them (tier_too_slow)',
  routing: 'although another worker held them (routed_elsewhere)',
  fault: 'because their worker was lost (worker_lost)',
  preempted: 'because their request had been preempted (preempted)',
  dropped: 'because they had been released (released)',
  claim: 'because their claim was broken (claim_broken)',
  ttl: 'because their time to live had ended (ttl_expired)',
  capacity: 'because they had been evicted (evicted)',
  unknown: 'for unknown reasons (unknown)',
};

function reuseTable(rows: readonly CauseRow[], paint: Paint): string[] {
  const heads = ['existed', 'captured', 'delivered'].map(dim);
  const names = Math.max(20, ...rows.map((row) => width(row.arm) + 2).filter((w) => w <= NAME));
  const room = COLUMNS - names - 32;
  return table(
    [{ align: 'left', minWidth: 20, maxWidth: NAME }, ...heads.map(() => ({ align: 'right' as const })), { align: 'left' }],
    [
      [dim('reuse, % of prompt'), ...heads, dim('missed though known, %')],
      ...rows.map((row) => [
        `  ${row.arm}`,
        percent(row.existed),
        percent(row.captured),
        percent(row.delivered),
        largest(row, 2, room) || '-',
      ]),
    ],
    paint,
  );
}

function sourceTable(rows: readonly CauseRow[], barColumns: number, paint: Paint): string[] {
  const heads = ['HBM', 'host', 'compuls.', 'routing', 'capacity', 'ttl', 'other'];
  const cell = (share: number): string => (share === 0 ? '-' : percent(share));
  return table(
    [{ align: 'left', minWidth: 20, maxWidth: NAME }, ...heads.map(() => ({ align: 'right' as const })), { align: 'left' }],
    [
      [dim('prompt tokens, %'), ...heads.map(dim)],
      ...rows.map((row) => {
        const shares = [row.hbm, row.host, ...SHOWN.map((key) => row[key])];
        const rest = ROLL_UPS.filter((key) => !(SHOWN as readonly string[]).includes(key)).reduce((sum, key) => sum + row[key], 0);
        return [`  ${row.arm}`, ...shares.map(cell), cell(rest), sourceBar(row, barColumns)];
      }),
    ],
    paint,
  );
}

function sourceBar(row: CauseRow, columns: number): string {
  return stackedBar(
    [
      { share: row.hbm, sign: '█' },
      { share: row.host, sign: '▒' },
      { share: row.compulsory, sign: '·' },
      { share: avoidable(row), sign: '!' },
    ],
    columns,
  );
}

/** The largest avoidable causes with their shares, at most `count` and no more than fit into `columns`. */
function largest(row: CauseRow, count: number, columns: number): string {
  const texts = Object.entries(row.causes)
    .filter(([cause, share]) => share >= SMALL && !COMPULSORY.has(cause.split('.')[0]!))
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, count)
    .map(([cause, share]) => `${cause.split('.')[0]} ${percent(share)}`);
  while (texts.length > 1 && texts.join(' · ').length > columns) texts.pop();
  return texts.join(' · ');
}

const COMPULSORY = new Set(['uncacheable', 'isolation', 'prefix_broken', 'cold', 'fresh']);

function avoidable(row: CauseRow): number {
  return AVOIDABLE.reduce((sum, key) => sum + row[key], 0);
}

function percent(share: number): string {
  return fixed(share * 100, 1);
}

function dim(text: string): Cell {
  return { text, tone: 'dim' };
}
