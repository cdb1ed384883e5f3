/** Thrown when a run makes no progress: exit 6. */
export class StuckError extends Error {
  override readonly name = 'StuckError';
}
