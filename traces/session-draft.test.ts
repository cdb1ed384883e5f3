import { expect, it } from 'vitest';
import { emptyAgent, emptyRequest, labelBreaks } from './session-draft.ts';

/** Kept tokens and cause code of the second of two requests that share `kept` of ten blocks. */
function secondOf(kept: number): number {
  const agent = emptyAgent('root', -1, 'm');
  agent.requests.push(
    emptyRequest(0, 640, 1, 'm', [1, 10]),
    emptyRequest(1, 640, 1, 'm', kept === 10 ? [1, 10] : [1, kept, 50, 59 - kept]),
  );
  labelBreaks(agent, 64);
  return agent.requests[1]!.breakKeptTokens;
}

it('a prompt that loses exactly a tenth of its predecessor does not break, one block more does', () => {
  expect([10, 9, 8].map(secondOf)).toEqual([-1, -1, 512]);
});
