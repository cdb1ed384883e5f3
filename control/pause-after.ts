import type { AttemptEnd, PauseKind } from './ports.ts';

/** Tools by which agents wait for other agents. */
export const JOIN_TOOLS: readonly string[] = ['Task', 'Agent'];

/** What kind of pause follows a response. Without a stop reason a human is assumed: the pause that promises least. */
export function pauseAfter(end: AttemptEnd): PauseKind {
  if (end.sessionFinal === true || end.status !== 'finished') return 'none';
  if (end.stop !== 'tool') return 'human';
  return end.toolNames?.some((tool) => JOIN_TOOLS.includes(tool)) === true ? 'join' : 'tool';
}
