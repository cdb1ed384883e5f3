/** What a bug put into the product on purpose is; the lists of the suites and seeded-bugs.ts use it. */

/** One text replacement in one source file of the product. */
export interface SeededBug {
  /** Names the test. */
  readonly id: string;
  /** What goes wrong, as a statement. */
  readonly breaks: string;
  /** Source file below the package root. */
  readonly file: string;
  /** Text that occurs exactly once in the file, and what stands there instead. */
  readonly from: string;
  readonly to: string;
  /** Suite and family that must notice; a small family keeps the test quick. */
  readonly suite: string;
  readonly family: string;
}
