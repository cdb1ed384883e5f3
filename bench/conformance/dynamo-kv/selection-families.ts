/** Families selector, booking, loop. */
import type { Family } from '../suite.ts';

export const SELECTION_RULES: Readonly<Record<string, string>> = {};

/** The families whose recordings lie in the folder. */
export function selectionFamilies(_folder: string): Family[] {
  return [];
}
