/**
 * What a conformance suite is: recordings of another program's decisions, replayed through the product's own code. One recorded
 * scenario or row is a case; a family is one kind of case, usually one file.
 */

/** The first field of a case that is not as recorded. */
export interface Difference {
  /** Where and what, e.g. `step 12 free` or `op 3 costs[1]`. */
  readonly field: string;
  readonly got: unknown;
  readonly expected: unknown;
}

/** What the replay of one case found. */
export interface CaseOutcome {
  /** Name of the case in its file. */
  readonly id: string;
  /** Recorded values compared, >= 1. */
  readonly fields: number;
  /** Absent: everything is equal. */
  readonly difference?: Difference;
  /**
   * Key of {@link ConformanceSuite.rules} if a rule explains the difference: our semantics are stronger on purpose, or the two
   * models differ in a named way. The replay must have proven that the rule holds for this case (e.g. that the answer equals the
   * recorded stronger one); a case must never be excused by its name.
   */
  readonly rule?: string;
}

/** One line of the report. */
export interface Family {
  readonly name: string;
  /** Awaited before {@link replay}, for what cannot be had at once. */
  prepare?(): Promise<void>;
  /** Replays every case of the family, in file order. A malformed recording throws a UserError with file and line. */
  replay(): Iterable<CaseOutcome>;
}

export interface ConformanceSuite {
  readonly name: string;
  /** Program and version whose decisions were recorded. */
  readonly reference: string;
  /** What is driven and how values are compared, in one sentence. */
  readonly method: string;
  /** Key -> the rule in one sentence without final stop. */
  readonly rules: Readonly<Record<string, string>>;
  /** Families for the recordings found in a folder; empty if it holds none that this suite knows. */
  families(folder: string): readonly Family[];
}

/** Compares values exactly (`Object.is` at the leaves, so NaN equals NaN and 0 differs from -0); the path of the first leaf that differs. */
export function firstDifference(field: string, got: unknown, expected: unknown): Difference | undefined {
  if (Array.isArray(got) && Array.isArray(expected)) {
    for (let i = 0; i < Math.max(got.length, expected.length); i++) {
      const found = firstDifference(`${field}[${i}]`, got[i], expected[i]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return Object.is(got, expected) ? undefined : { field, got, expected };
}
