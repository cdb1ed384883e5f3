/** Families selector, booking, loop. */
import { readRecording, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, Family } from '../suite.ts';
import { replayBooking } from './booking-replay.ts';
import { replayLoop } from './loop-replay.ts';
import { replaySelector } from './selector-replay.ts';

export const SELECTION_RULES: Readonly<Record<string, string>> = {};

/** The families whose recordings lie in the folder. */
export function selectionFamilies(folder: string): Family[] {
  return [
    ...family(folder, 'selector', replaySelector),
    ...family(folder, 'booking', replayBooking),
    ...family(folder, 'loop', replayLoop),
  ];
}

function family<T>(folder: string, name: string, replayCase: (recorded: T) => CaseOutcome): Family[] {
  const file = recordingFile(folder, name);
  if (file === undefined) return [];
  return [
    {
      name,
      *replay() {
        for (const recorded of readRecording<T>(file)) yield replayCase(recorded);
      },
    },
  ];
}
