/** What a bug put into the product on purpose is; the lists of the suites and seeded-bugs.ts use it. */
import type { SourceBug } from '../seeded-bundle.ts';

/** A bug and the family of recordings that must notice it. */
export interface SeededBug extends SourceBug {
  /** Names the test. */
  readonly id: string;
  /** Suite and family that must notice; a small family keeps the test quick. */
  readonly suite: string;
  readonly family: string;
}
