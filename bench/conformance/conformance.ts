/** Replays suites and says in one line per family how many cases are equal: the result of `kvcast conformance`. */
import { join } from 'node:path';
import { UserError } from '../../control/user-error.ts';
import { nearest } from '../../scenarios/spelling.ts';
import type { CaseOutcome, ConformanceSuite, Family } from './suite.ts';

/** What the replay of a family found. */
export interface FamilyReport {
  readonly suite: string;
  readonly family: string;
  readonly cases: number;
  readonly equal: number;
  /** Recorded values compared. */
  readonly fields: number;
  /** Cases whose difference a named rule explains, per rule. */
  readonly explained: Readonly<Record<string, number>>;
  /** Cases that differ without a rule. */
  readonly different: number;
  readonly firstDifference?: CaseOutcome;
}

export interface ConformanceReport {
  readonly suites: readonly Pick<ConformanceSuite, 'name' | 'reference' | 'method' | 'rules'>[];
  readonly families: readonly FamilyReport[];
}

/** Loads the suites by name, so that none costs anything before it is asked for. */
export const SUITES: Readonly<Record<string, () => Promise<ConformanceSuite>>> = {
  vllm: async () => (await import('./vllm/vllm-suite.ts')).SUITE,
  'dynamo-kv': async () => (await import('./dynamo-kv/dynamo-suite.ts')).SUITE,
  aisimulate: async () => (await import('./aisimulate/aisimulate-suite.ts')).SUITE,
};

/** Where the recordings of a suite lie in the package. */
export function shippedFolder(packageRoot: string, suite: string): string {
  return join(packageRoot, 'bench/conformance', suite, 'vectors');
}

/** Replays one family to its end. */
export function replayFamily(suite: string, family: Family): FamilyReport {
  let cases = 0;
  let equal = 0;
  let fields = 0;
  let different = 0;
  let first: CaseOutcome | undefined;
  const explained: Record<string, number> = {};
  for (const outcome of family.replay()) {
    cases++;
    fields += outcome.fields;
    if (outcome.difference === undefined) equal++;
    else if (outcome.rule !== undefined) explained[outcome.rule] = (explained[outcome.rule] ?? 0) + 1;
    else {
      different++;
      first ??= outcome;
    }
  }
  return {
    suite,
    family: family.name,
    cases,
    equal,
    fields,
    explained,
    different,
    ...(first === undefined ? {} : { firstDifference: first }),
  };
}

/** What is asked for: a suite, a folder, both or neither. A folder may hold the recordings, or one folder per suite. */
export interface ConformanceQuestion {
  readonly suite?: string | undefined;
  readonly folder?: string | undefined;
}

/**
 * Replays the named suite, or all, from a folder or from the shipped recordings; `onFamily` is told each family as it ends.
 * Throws E_USAGE for an unknown suite, E_FILE for a folder without recordings, E_RECORDING for a broken one.
 */
export async function conform(
  { suite: name, folder }: ConformanceQuestion,
  packageRoot: string,
  onFamily: (report: FamilyReport, suite: ConformanceSuite) => void = () => {},
): Promise<ConformanceReport> {
  const suites: ConformanceSuite[] = [];
  const families: FamilyReport[] = [];
  for (const wanted of name === undefined ? Object.keys(SUITES) : [known(name)]) {
    const suite = await SUITES[wanted]!();
    const places =
      folder === undefined ? [shippedFolder(packageRoot, wanted)] : [folder, join(folder, wanted), join(folder, wanted, 'vectors')];
    const found = places.map((place) => suite.families(place)).find((list) => list.length > 0);
    if (found === undefined) {
      if (name === undefined && folder !== undefined) continue;
      throw nothingFound(wanted, places[0]!);
    }
    suites.push(suite);
    for (const family of found) {
      await family.prepare?.();
      const report = replayFamily(wanted, family);
      families.push(report);
      onFamily(report, suite);
    }
  }
  if (families.length === 0) throw nothingFound(Object.keys(SUITES).join(', '), folder!);
  return { suites: suites.map(({ name, reference, method, rules }) => ({ name, reference, method, rules })), families };
}

function nothingFound(suites: string, folder: string): UserError {
  return new UserError({
    severity: 'error',
    code: 'E_FILE',
    file: folder,
    message: `got no recording of ${suites}, expected *.jsonl.gz or *.csv as in bench/conformance/*/vectors`,
    hint: 'Give the folder that holds the recordings of a suite, or one with a folder per suite',
  });
}

function known(name: string): string {
  if (SUITES[name] !== undefined) return name;
  const names = Object.keys(SUITES);
  const near = nearest(name, names);
  throw new UserError({
    severity: 'error',
    code: 'E_USAGE',
    message: `got suite or folder ${name}, expected ${names.join(', ')} or a folder`,
    ...(near.length === 0 ? {} : { hint: `Did you mean "${near[0]}"?` }),
  });
}

/** `suite family: equal N of M · K by rule` and, if any differ, the first differing field of the first differing case. */
export function familyLine(report: FamilyReport): string {
  const { suite, family, equal, cases, explained, firstDifference: first } = report;
  const byRule = Object.values(explained).reduce((sum, count) => sum + count, 0);
  const line = `${suite} ${family}: equal ${equal} of ${cases}${byRule === 0 ? '' : ` · ${byRule} by rule`}`;
  if (first?.difference === undefined) return line;
  const { field, got, expected } = first.difference;
  return `${line} · first: ${first.id} ${field}: got ${shown(got)}, expected ${shown(expected)}`;
}

/** Cases, equal ones and those that a rule explains, of all families. */
export function totalLine(report: ConformanceReport): string {
  const sum = (pick: (family: FamilyReport) => number) => report.families.reduce((total, family) => total + pick(family), 0);
  const explained = sum((f) => f.cases - f.equal - f.different);
  const note = explained === 0 ? '' : ` · ${explained} explained by a rule`;
  return `all: equal ${sum((f) => f.equal)} of ${sum((f) => f.cases)}${note} · different ${sum((f) => f.different)} · ${sum((f) => f.fields).toLocaleString('en-US')} values`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
