/** From observed runs, replication by replication, to the document of `kvcast explain`. Source: experiments specification 7.3, 7.4. */
import type { Aggregate } from '../measure/metric-expression.ts';
import { meanInterval } from '../measure/statistics.ts';
import { COMPONENTS, type Component } from '../measure/turn-components.ts';
import { ROWS, type RunRows, rowsOf } from '../measure/waterfall.ts';
import { causeRow } from './cause-row.ts';
import type { Difference, ExplainResult, ExplainRow, SessionTurn, TurnFate, WorstSession } from './explain-result.ts';
import type { ExplainedRun, ExplainedTurn } from './explain-run.ts';
import { sentencesOf } from './explain-sentences.ts';

/** What is explained. */
export interface ExplainContext {
  readonly kvcastVersion: string;
  readonly expr: string;
  readonly aggregate: Aggregate;
  readonly subject: { readonly result: string; readonly arm: string };
  readonly reference: { readonly result: string; readonly arm: string } | null;
  /** Name of a session to list turn by turn. */
  readonly session: string | null;
}

const WORST = 10;
const COSTLIEST = 3;
/** Rows below this share of the difference are merged. */
const SMALL = 0.02;
const LEVEL = 0.95;

/** Takes the runs of one replication after another and keeps what the document needs of them. */
export class ExplainReducer {
  readonly #context: ExplainContext;
  readonly #replications: number[] = [];
  readonly #subject: RunRows[] = [];
  readonly #reference: RunRows[] = [];
  readonly #hashes: [string[], string[]] = [[], []];
  readonly #sources: [ExplainedRun['sources'][], ExplainedRun['sources'][]] = [[], []];
  #bySlowdown: WorstSession[] = [];
  #byRegression: WorstSession[] = [];
  readonly #session: SessionTurn[] = [];
  readonly #notes: string[] = [];

  constructor(context: ExplainContext) {
    this.#context = context;
  }

  /** Adds the runs of a replication; `reference` is null exactly if the context has none. */
  add(replication: number, subject: ExplainedRun, reference: ExplainedRun | null): void {
    this.#hashes[0].push(subject.runHash);
    this.#sources[0].push(subject.sources);
    if (reference !== null) {
      this.#hashes[1].push(reference.runHash);
      this.#sources[1].push(reference.sources);
      if (reference.workloadHash !== subject.workloadHash && this.#notes.length === 0)
        this.#notes.push('The workloads differ: turns are paired by name, and the difference is also one of workloads.');
    }
    this.#rank(replication, subject, reference);
    this.#list(replication, subject, reference);
    const rows = rowsOf(subject.turns, reference?.turns ?? null, this.#context.aggregate);
    if (rows === null) {
      this.#notes.push(`Replication ${replication} has no turn to explain.`);
      return;
    }
    this.#replications.push(replication);
    this.#subject.push(rows[0]);
    if (rows[1] !== null) this.#reference.push(rows[1]);
  }

  /** The document of what was added. */
  result(): ExplainResult {
    const { kvcastVersion, expr, subject, reference } = this.#context;
    const components = this.#components();
    const difference = reference === null ? null : differenceOf(this.#deltas((run) => run.totalMs));
    const rows = merged(components, difference);
    const sum = (runs: readonly RunRows[], pick: (run: RunRows) => number) => runs.reduce((all, run) => all + pick(run), 0);
    const value = meanOf(this.#subject.map((run) => run.totalMs));
    const valueThere = meanOf(this.#reference.map((run) => run.totalMs));
    return {
      formatVersion: '1.0',
      kvcastVersion,
      command: 'explain',
      metric: { expr, unit: 's' },
      subject: { ...subject, runHashes: this.#hashes[0], value },
      reference: reference === null ? null : { ...reference, runHashes: this.#hashes[1], value: valueThere },
      difference,
      replications: this.#replications,
      turns: {
        subject: sum(this.#subject, (run) => run.turns),
        reference: sum(this.#reference, (run) => run.turns),
        paired: sum(this.#subject, (run) => run.meanOf),
      },
      rows,
      components,
      sentences:
        value === null
          ? []
          : sentencesOf(
              expr,
              { name: subject.arm, value },
              reference === null || valueThere === null ? null : { name: reference.arm, value: valueThere },
              rows,
            ),
      causes: {
        subject: causeRow(
          subject.arm,
          this.#sources[0].map((sources) => ({ sources })),
        ),
        ...(reference === null
          ? {}
          : {
              reference: causeRow(
                reference.arm,
                this.#sources[1].map((sources) => ({ sources })),
              ),
            }),
      },
      worst: { bySlowdown: this.#bySlowdown, byRegression: this.#byRegression },
      session: this.#session,
      notes: this.#notes,
    };
  }

  /** Every row that is not zero; ids by size of what it explains. */
  #components(): ExplainRow[] {
    const hasReference = this.#context.reference !== null;
    const rows = ROWS.flatMap((component, k): Omit<ExplainRow, 'id'>[] => {
      const here = this.#subject.map((run) => run.rows[k]!);
      const there = this.#reference.map((run) => run.rows[k]!);
      // Below a nanosecond is rounding.
      if ([...here, ...there].every((ms) => Math.abs(ms) < 1e-6)) return [];
      const subject = meanOf(here)!;
      if (!hasReference) return [{ component, subject }];
      return [{ component, subject, reference: meanOf(there)!, ...differenceOf(this.#deltas((run) => run.rows[k]!)) }];
    });
    const bySize = [...rows].sort((a, b) => Math.abs(b.delta ?? b.subject) - Math.abs(a.delta ?? a.subject));
    return rows.map((row) => ({ id: `r${bySize.indexOf(row) + 1}`, ...row }));
  }

  #deltas(pick: (run: RunRows) => number): number[] {
    return this.#subject.map((run, i) => pick(run) - pick(this.#reference[i]!));
  }

  #rank(replication: number, subject: ExplainedRun, reference: ExplainedRun | null): void {
    const turnsOf = new Map<string, [string, ExplainedTurn][]>();
    for (const [name, turn] of subject.turns) {
      const list = turnsOf.get(turn.session);
      if (list === undefined) turnsOf.set(turn.session, [[name, turn]]);
      else list.push([name, turn]);
    }
    const found = [...subject.sessions.values()].map(({ name, activeMs, slowdown }): WorstSession => {
      const there = reference?.sessions.get(name);
      return {
        ...{ session: name, replication, slowdown, activeTime: activeMs / 1000 },
        ...(there === undefined ? {} : { reference: { slowdown: there.slowdown, activeTime: there.activeMs / 1000 } }),
        ...lifeOf(turnsOf.get(name) ?? []),
      };
    });
    this.#bySlowdown = top([...this.#bySlowdown, ...found], (s) => s.slowdown);
    const regressed = found.filter((s) => s.reference !== undefined && s.activeTime > s.reference.activeTime);
    this.#byRegression = top([...this.#byRegression, ...regressed], (s) => s.activeTime - s.reference!.activeTime);
  }

  #list(replication: number, subject: ExplainedRun, reference: ExplainedRun | null): void {
    for (const [turn, explained] of subject.turns) {
      if (explained.session !== this.#context.session) continue;
      const there = reference?.turns.get(turn);
      const more = there === undefined ? {} : { reference: there.ms / 1000 };
      this.#session.push({
        ...{ turn, replication, value: explained.ms / 1000, ...more, components: named(explained.values) },
        ...fateOf(explained),
      });
    }
  }
}

/** Largest first, rows below 2 % of the difference as one. Without a difference: of the value. */
function merged(components: readonly ExplainRow[], difference: Difference | null): ExplainRow[] {
  const sizeOf = (row: ExplainRow): number => Math.abs(difference === null ? row.subject : row.delta!);
  const whole = difference === null ? components.reduce((sum, row) => sum + row.subject, 0) : difference.delta;
  const large = components.filter((row) => sizeOf(row) >= SMALL * Math.abs(whole));
  const small = components.filter((row) => !large.includes(row));
  const sorted = [...large].sort((a, b) => sizeOf(b) - sizeOf(a));
  if (small.length < 2) return [...sorted, ...small];
  const sum = (pick: (row: ExplainRow) => number): number => small.reduce((all, row) => all + pick(row), 0);
  return [
    ...sorted,
    {
      ...{ id: 'other', component: 'other', merged: small.length, subject: sum((row) => row.subject) },
      ...(difference === null ? {} : { reference: sum((row) => row.reference!), delta: sum((row) => row.delta!), lo: null, hi: null }),
    },
  ];
}

function differenceOf(ms: readonly number[]): Difference {
  const { mean, lo, hi } = meanInterval(ms, LEVEL);
  return { delta: (mean ?? 0) / 1000, lo: lo === null ? null : lo / 1000, hi: hi === null ? null : hi / 1000 };
}

function meanOf(ms: readonly number[]): number | null {
  return ms.length === 0 ? null : ms.reduce((a, b) => a + b, 0) / ms.length / 1000;
}

/** What the turns of a session consisted of. */
function lifeOf(turns: readonly (readonly [string, ExplainedTurn])[]): Pick<WorstSession, 'turns' | 'components' | 'costliest'> {
  const sums = new Float64Array(COMPONENTS.length);
  const events: { turn: string; component: Component; ms: number; of: ExplainedTurn }[] = [];
  for (const [turn, explained] of turns) {
    (explained.e2e ?? explained.values).forEach((ms, k) => {
      sums[k]! += ms;
      const component = COMPONENTS[k]!;
      if (ms > 0 && component !== 'decode.own') events.push({ turn, component, ms, of: explained });
    });
  }
  events.sort((a, b) => b.ms - a.ms);
  const costliest = events.slice(0, COSTLIEST).map(({ turn, component, ms, of }) => ({ turn, component, time: ms / 1000, ...fateOf(of) }));
  return { turns: turns.length, components: named(sums), costliest };
}

function fateOf({ promptTokens, missed, decision }: ExplainedTurn): TurnFate {
  return { promptTokens, missed, ...(decision === undefined ? {} : { decision }) };
}

function named(values: Float64Array): Partial<Record<Component, number>> {
  return Object.fromEntries(COMPONENTS.map((name, k) => [name, values[k]! / 1000] as const).filter(([, s]) => Math.abs(s) >= 1e-9));
}

function top(sessions: readonly WorstSession[], by: (session: WorstSession) => number): WorstSession[] {
  return [...sessions].sort((a, b) => by(b) - by(a) || (a.session < b.session ? -1 : 1)).slice(0, WORST);
}
