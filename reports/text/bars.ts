/** Interval plots and bars made of characters. */

/** Axis of a forest plot: [lo, hi] in data units over `columns` characters, ticks on round numbers, zero always inside. */
export interface Axis {
  readonly lo: number;
  readonly hi: number;
  readonly columns: number;
  readonly ticks: readonly number[];
}

/** Axis that holds all values and zero, with three to five round ticks. */
export function axisFor(values: readonly number[], columns: number): Axis {
  const lo0 = Math.min(0, ...values);
  const hi0 = Math.max(0, ...values);
  const span = hi0 - lo0 > 1e-9 ? hi0 - lo0 : 1;
  const step = niceStep(span / 3);
  const lo = Math.floor(lo0 / step + 1e-9) * step;
  const hi = hi0 <= 1e-12 ? step * 0.15 : Math.ceil(hi0 / step - 1e-9) * step;
  const ticks: number[] = [];
  for (let t = lo; t <= hi + step * 1e-6; t += step) ticks.push(Math.abs(t) < step * 1e-6 ? 0 : t);
  return { lo, hi: Math.max(hi, lo + step), columns, ticks };
}

/** Column (0-based) of a value. */
export function columnOf(axis: Axis, value: number): number {
  const c = Math.round(((value - axis.lo) / (axis.hi - axis.lo)) * (axis.columns - 1));
  return Math.min(axis.columns - 1, Math.max(0, c));
}

/** `├──●──┤` on the axis, with `│` at zero where nothing else stands. */
export function intervalMark(axis: Axis, lo: number | null, mid: number | null, hi: number | null): string {
  const cells = new Array<string>(axis.columns).fill(' ');
  cells[columnOf(axis, 0)] = '│';
  if (lo !== null && hi !== null && mid !== null) {
    const a = columnOf(axis, lo);
    const b = columnOf(axis, hi);
    for (let i = a; i <= b; i++) cells[i] = '─';
    cells[a] = '├';
    cells[b] = '┤';
    cells[columnOf(axis, mid)] = '●';
  }
  return cells.join('');
}

/** Tick labels right-aligned at their columns; labels that would touch are left out. */
export function axisLabels(axis: Axis, format: (value: number) => string): string {
  const cells = new Array<string>(axis.columns + 8).fill(' ');
  let free = -1;
  for (const tick of axis.ticks) {
    const text = format(tick);
    const end = columnOf(axis, tick);
    const start = Math.max(0, end - Math.floor(text.length / 2));
    if (start <= free) continue;
    [...text].forEach((c, i) => {
      cells[start + i] = c;
    });
    free = start + text.length;
  }
  return cells.join('').replace(/\s+$/, '');
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Bar of `share` (0..1) of `columns` characters in eighths. */
export function bar(share: number, columns: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!;
}

/** Stacked bar: each share gets its sign, largest remainder so that the columns add up. */
export function stackedBar(shares: readonly { readonly share: number; readonly sign: string }[], columns: number): string {
  const exact = shares.map((s) => s.share * columns);
  const whole = exact.map(Math.floor);
  let left = Math.round(exact.reduce((a, b) => a + b, 0)) - whole.reduce((a, b) => a + b, 0);
  const order = exact.map((e, i) => [e - whole[i]!, i] as const).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (const [, i] of order) {
    if (left <= 0) break;
    whole[i]!++;
    left--;
  }
  return shares.map((s, i) => s.sign.repeat(whole[i]!)).join('');
}

function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  const f = raw / power;
  return (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10) * power;
}

const SPARKS = '▁▂▃▄▅▆▇█';

/** One sign per value, its height in eighths of the largest; a blank where there is none. Values below 0 count as 0. */
export function sparkline(values: readonly (number | null)[]): string {
  const top = Math.max(...values.map((v) => v ?? 0));
  return values.map((v) => (v === null ? ' ' : SPARKS[top <= 0 ? 0 : Math.max(0, Math.min(7, Math.ceil((8 * v) / top) - 1))])).join('');
}
