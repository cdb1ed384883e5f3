/**
 * Monospace tables without borders: text left, numbers right, numbers with interval aligned at their decimal point.
 */
import type { Paint, Tone } from './paint.ts';

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
}

export type Align = 'left' | 'right';

export interface Column {
  readonly align: Align;
  /** Blanks before the column; the first column has none. */
  readonly gap?: number;
  readonly minWidth?: number;
  /** A wider cell gets a line of its own, with the cells left of it; the rest of its row follows below. */
  readonly maxWidth?: number;
}

/** Rows of cells as lines. Widths come from the cells only, never from the terminal. Missing cells are empty. */
export function table(columns: readonly Column[], rows: readonly (readonly (Cell | string)[])[], paint: Paint): string[] {
  const cells = rows.flatMap((row) =>
    fold(
      columns,
      row.map((c) => (typeof c === 'string' ? { text: c } : c)),
    ),
  );
  const widths = columns.map((column, i) =>
    Math.max(column.minWidth ?? 0, ...cells.map((row) => width(row[i]?.text ?? '')).filter((w) => w <= (column.maxWidth ?? w))),
  );
  return cells.map((row) => {
    let line = '';
    columns.forEach((column, i) => {
      const cell = row[i] ?? { text: '' };
      const pad = ' '.repeat(Math.max(0, widths[i]! - width(cell.text)));
      const gap = i === 0 ? '' : ' '.repeat(column.gap ?? 2);
      const painted = paint(cell.text, cell.tone ?? 'plain');
      line += gap + (column.align === 'right' ? pad + painted : painted + pad);
    });
    return line.replace(/\s+$/, '');
  });
}

/** One row, or two where a cell is wider than its column may be. */
function fold(columns: readonly Column[], row: readonly Cell[]): (readonly Cell[])[] {
  const wide = columns.findIndex((column, i) => column.maxWidth !== undefined && width(row[i]?.text ?? '') > column.maxWidth);
  if (wide < 0) return [row];
  return [row.slice(0, wide + 1), row.map((cell, i) => (i <= wide ? { text: '' } : cell))];
}

/** Pads the integer parts of numbers so that their decimal points stand below each other; the rest of the text follows freely. */
export function alignDecimals(texts: readonly string[]): string[] {
  const heads = texts.map((t) => {
    const m = /^[^\d]*[\d,]*/.exec(t);
    return m === null ? 0 : m[0].length;
  });
  const widest = Math.max(0, ...heads);
  const padded = texts.map((t, i) => (t === '' ? '' : ' '.repeat(widest - heads[i]!) + t));
  const longest = Math.max(0, ...padded.map(width));
  return padded.map((t) => t + ' '.repeat(longest - width(t)));
}

/** Printed columns of a text (every code point we print is one column wide). */
export function width(text: string): number {
  return [...text].length;
}

/** The text, or its begin and two dots where it is wider than `columns`. */
export function clip(text: string, columns: number): string {
  return width(text) <= columns ? text : `${[...text].slice(0, columns - 2).join('')}..`;
}

/** Pads to a width on the right. */
export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)));
}

/** Pads to a width on the left. */
export function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - width(text))) + text;
}

const FIXED_BLANK = '\u00a0';

/** Joins items by ` · ` and breaks only between items. */
export function wrapItems(items: readonly string[], columns: number, hang = 0): string[] {
  const text = items.map((item) => item.replaceAll(' ', FIXED_BLANK)).join(`${FIXED_BLANK}· `);
  return wrap(text, columns, hang).map((line) => line.replaceAll(FIXED_BLANK, ' ').replace(/ ·$/, ''));
}

/** Breaks a shell command into lines that can be pasted: ` \\` at the ends, continuation lines indented. */
export function wrapCommand(text: string, columns: number): string[] {
  const lines = wrap(text, columns - 2, 2);
  return lines.map((line, i) => (i < lines.length - 1 ? `${line} \\` : line));
}

/** Breaks a sentence list into lines of at most `columns`, continuation lines indented by `hang`. */
export function wrap(text: string, columns: number, hang = 0): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const next = line === '' ? word : `${line} ${word}`;
    if (width(next) > columns && line !== '') {
      lines.push(line);
      line = ' '.repeat(hang) + word;
    } else line = next;
  }
  if (line.trim() !== '') lines.push(line);
  return lines;
}
