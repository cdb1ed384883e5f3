/** Families selector, booking, loop. */
import { recordedFamily } from '../recording-file.ts';
import type { Family } from '../suite.ts';
import { replayBooking } from './booking-replay.ts';
import { replayLoop } from './loop-replay.ts';
import { replaySelector } from './selector-replay.ts';

/** Every case is equal: no rule is needed. */
export const SELECTION_RULES: Readonly<Record<string, string>> = {};

/** The families whose recordings lie in the folder. */
export function selectionFamilies(folder: string): Family[] {
  return [
    ...recordedFamily(folder, 'selector', ['workers', 'loads', 'out', 'config'], replaySelector),
    ...recordedFamily(folder, 'booking', ['ranks', 'chains', 'ops'], replayBooking),
    ...recordedFamily(folder, 'loop', ['ranks', 'config', 'ops'], replayLoop),
  ];
}
