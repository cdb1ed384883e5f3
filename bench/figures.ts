/** Figures with their goals: what is reached, how they are printed, how they are kept. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { thousands } from '../reports/text/numbers.ts';
import { noPaint } from '../reports/text/paint.ts';
import { table } from '../reports/text/table.ts';
import type { Commit, Machine } from './machine.ts';

/** Goals of one figure, in its unit. */
export interface Goal {
  readonly must: number;
  readonly stretch?: number;
  /** Which side of a goal is good. */
  readonly better: 'higher' | 'lower';
}

export type Reached = 'stretch' | 'must' | 'no' | 'not measured';

/** One measured quantity. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** null = not measured in this run. */
  readonly measured: number | null;
  /** Data-structures specification, section 8; null = a figure to look at. */
  readonly goal: Goal | null;
}

/** One file of bench/results/. */
export interface BenchReport {
  readonly name: string;
  /** When measuring began, ISO 8601, UTC. */
  readonly date: string;
  readonly node: string;
  readonly commit: Commit;
  readonly machine: Machine;
  /** How it was asked for: `--quick`, `--full` or neither. */
  readonly size: 'quick' | 'normal' | 'full';
  readonly figures: readonly Figure[];
}

/** A goal where less is better. */
export function lower(must: number, stretch?: number): Goal {
  return { must, ...(stretch === undefined ? {} : { stretch }), better: 'lower' };
}

/** A goal where more is better. */
export function higher(must: number, stretch?: number): Goal {
  return { must, ...(stretch === undefined ? {} : { stretch }), better: 'higher' };
}

/** The best goal that a figure reaches; null without a goal. */
export function reached({ measured, goal }: Pick<Figure, 'measured' | 'goal'>): Reached | null {
  if (goal === null) return null;
  if (measured === null || Number.isNaN(measured)) return 'not measured';
  const meets = (limit: number): boolean => (goal.better === 'higher' ? measured >= limit : measured <= limit);
  if (goal.stretch !== undefined && meets(goal.stretch)) return 'stretch';
  return meets(goal.must) ? 'must' : 'no';
}

/** Figures as a table: must | stretch | measured | reached. */
export function figureTable(figures: readonly Figure[]): string {
  const columns = [
    { align: 'left' },
    { align: 'right' },
    { align: 'right' },
    { align: 'right' },
    { align: 'left', gap: 1 },
    { align: 'left' },
  ] as const;
  const rows = figures.map((f) => [
    f.name,
    shown(f.goal?.must),
    shown(f.goal?.stretch),
    shown(f.measured ?? undefined),
    f.unit,
    reached(f) ?? '',
  ]);
  return table(columns, [['figure', 'must', 'stretch', 'measured', '', 'reached'], ...rows], noPaint).join('\n');
}

/** The line under a table: on what it was measured. */
export function machineLine({ machine, node, commit, date }: BenchReport): string {
  const at = commit.id === null ? '' : ` · commit ${commit.id.slice(0, 9)}${commit.dirty ? ' with changes' : ''}`;
  const load = machine.loadAverage[0];
  return `${machine.cores} x ${machine.cpu}, ${machine.memoryGiB} GiB, load ${load} · node ${node}${at} · ${date.slice(0, 10)}`;
}

/** The file of a report: indented JSON; every figure with must, stretch, measured, reached. */
export function reportJson(report: BenchReport): string {
  const figures = report.figures.map((f) => ({
    name: f.name,
    unit: f.unit,
    must: f.goal?.must ?? null,
    stretch: f.goal?.stretch ?? null,
    better: f.goal?.better ?? null,
    measured: f.measured === null || Number.isNaN(f.measured) ? null : Number(f.measured.toPrecision(4)),
    reached: reached(f),
  }));
  return `${JSON.stringify({ ...report, figures }, null, 2)}\n`;
}

/** Writes `folder/NAME.json` under a temporary name and renames it: a reader sees the old file or the new one. Returns the path. */
export function writeReport(folder: string, report: BenchReport): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${report.name}.json`);
  const temporary = `${path}.tmp-${process.pid}`;
  writeFileSync(temporary, reportJson(report));
  renameSync(temporary, path);
  return path;
}

/** A number with three significant digits, or grouped thousands; '' for none. */
export function shown(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '';
  if (Math.abs(value) >= 1000) return thousands(value);
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}
