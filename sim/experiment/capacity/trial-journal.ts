/** Outcomes of trials as lines of a file, so that an interrupted plan goes on where it stopped. A torn or changed line is tried again. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Outcome } from './trials.ts';

/** Remembers outcomes by the identity of their trial. */
export interface TrialJournal {
  get(key: string): Outcome | undefined;
  add(key: string, outcome: Outcome): void;
}

/** Remembers nothing beyond the process. */
export const NO_JOURNAL: TrialJournal = { get: () => undefined, add: () => undefined };

interface Line {
  /** Hash of program version and trial. */
  readonly id: string;
  /** Hash of the outcome as written. */
  readonly sum: string;
  readonly outcome: Outcome;
}

/** A journal in `file`; lines that are whole and of the same program version are read. */
export function openTrialJournal(file: string, version: string): TrialJournal {
  const idOf = (key: string): string => hash(`${version}|${key}`);
  const known = new Map<string, Outcome>();
  if (existsSync(file))
    for (const text of readFileSync(file, 'utf8').split('\n')) {
      const line = lineOf(text);
      if (line !== undefined) known.set(line.id, line.outcome);
    }
  return {
    get: (key) => known.get(idOf(key)),
    add: (key, outcome) => {
      const body = JSON.stringify(outcome);
      appendFileSync(file, `{"id":"${idOf(key)}","sum":"${hash(body)}","outcome":${body}}\n`);
    },
  };
}

function lineOf(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line;
    return hash(JSON.stringify(line.outcome)) === line.sum ? line : undefined;
  } catch {
    return undefined;
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
