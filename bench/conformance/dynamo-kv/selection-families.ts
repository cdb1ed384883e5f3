/** Families selector, booking, loop. */
import { broken, readNumbered, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, Family } from '../suite.ts';
import { replayBooking } from './booking-replay.ts';
import { replayLoop } from './loop-replay.ts';
import { replaySelector } from './selector-replay.ts';

/** Every case is equal: no rule is needed. */
export const SELECTION_RULES: Readonly<Record<string, string>> = {};

/** The families whose recordings lie in the folder. */
export function selectionFamilies(folder: string): Family[] {
  return [
    ...family(folder, 'selector', ['workers', 'loads', 'out', 'config'], replaySelector),
    ...family(folder, 'booking', ['ranks', 'chains', 'ops'], replayBooking),
    ...family(folder, 'loop', ['ranks', 'config', 'ops'], replayLoop),
  ];
}

/** `parts`: the fields of a case that must be lists or objects. */
function family<T>(folder: string, name: string, parts: readonly string[], replayCase: (recorded: T) => CaseOutcome): Family[] {
  const file = recordingFile(folder, name);
  if (file === undefined) return [];
  return [
    {
      name,
      *replay() {
        for (const { line, value } of readNumbered(file)) {
          const fields = (value ?? {}) as Record<string, unknown>;
          const lacking = parts.find((part) => typeof fields[part] !== 'object' || fields[part] === null);
          if (lacking !== undefined) throw broken(file, `got no ${lacking}, expected a case of family ${name}`, { line, path: lacking });
          yield replayCase(value as T);
        }
      },
    },
  ];
}
