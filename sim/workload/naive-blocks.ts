/**
 * The obviously right reading of block identities, for tests: one string per engine block of a prompt, by the letter of trace
 * specification 2.1, 2.2 and 7.3. Two prompts share as many blocks as their lists agree from the front.
 */
import type { Trace } from '../../traces/columns.ts';
import type { WorkloadOptions } from './workload-options.ts';

type Choices = Pick<WorkloadOptions, 'blockTokens' | 'modelIdentity' | 'sharing' | 'partialTail'>;

/** Identities of the identified blocks of every request of a session that belongs to play `play`; `fleet` = drawn to use the fleet prefix. */
export function naiveBlocks(trace: Trace, session: number, play: string, fleet: boolean, choices: Choices): Map<number, string[]> {
  const { agentFrom } = trace.session;
  const shared = new Map<string, string>();
  for (let a = agentFrom[session]!; a < agentFrom[session + 1]!; a++) nameShared(trace, session, a, fleet, choices, shared);
  const blocks = new Map<number, string[]>();
  for (let a = agentFrom[session]!; a < agentFrom[session + 1]!; a++)
    for (let r = trace.agent.requestFrom[a]!; r < trace.agent.requestFrom[a + 1]!; r++)
      blocks.set(
        r,
        blockIds(trace, r, choices).map(({ id, k }) => {
          const inSession = `${space(trace, r, choices)}/${id}`;
          const tenant = trace.strings[trace.session.tenant[session]!]!;
          const own = trace.header.idScope === 'file' ? `${tenant}/${inSession}` : `play ${play}/${inSession}`;
          return `${shared.get(inSession) ?? own}/${k}`;
        }),
      );
  return blocks;
}

/** Blocks at the front of both lists. */
export function naiveCommon(a: readonly string[], b: readonly string[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

function nameShared(trace: Trace, session: number, a: number, fleet: boolean, choices: Choices, shared: Map<string, string>): void {
  if (choices.sharing === 'none' || trace.header.idScope === 'file') return;
  const first = trace.agent.requestFrom[a]!;
  const tenant = trace.strings[trace.session.tenant[session]!]!;
  const model = trace.strings[trace.request.model[first]!]!;
  const tools = trace.agent.toolTokens[a]!;
  const system = trace.agent.systemTokens[a]!;
  const ids = blockIds(trace, first, choices);
  // A unit has one identity: e tokens, or a whole trace block where engine blocks are smaller.
  const unit = Math.max(choices.blockTokens, trace.header.blockTokens);
  for (let j = 0; j < ids.length; j++) {
    const i = Math.floor((j * choices.blockTokens) / unit);
    const end = (i + 1) * unit;
    let key: string | undefined;
    if (choices.sharing === 'fleet' && fleet) key = end <= tools + system ? `fleet ${tenant} ${i}` : undefined;
    else if (end <= tools) key = `tools ${tenant} ${model} ${tools} ${i}`;
    else if (choices.sharing === 'tools+system' && end <= tools + system) key = `system ${tenant} ${model} ${tools} ${system} ${i}`;
    const name = `${space(trace, first, choices)}/${ids[j]!.id}`;
    if (key === undefined || (shared.get(name) ?? key) !== key) return;
    shared.set(name, key);
  }
}

/** (id, part) of every engine block that is full and covered by ids. */
function blockIds(trace: Trace, r: number, choices: Choices): { id: number; k: number }[] {
  const ids: number[] = [];
  for (let i = trace.request.runFrom[r]!; i < trace.request.runFrom[r + 1]!; i++)
    for (let id = trace.runFirst[i]!; id <= trace.runLast[i]!; id++) ids.push(id);
  const traceBlock = trace.header.blockTokens;
  const e = choices.blockTokens;
  const tokens =
    choices.partialTail === 'padded' ? Math.max(ids.length * traceBlock, trace.request.inTokens[r]!) : trace.request.inTokens[r]!;
  const blocks: { id: number; k: number }[] = [];
  for (let j = 0; (j + 1) * e <= tokens; j++) {
    const last = Math.ceil(((j + 1) * e) / traceBlock) - 1;
    if (last >= ids.length) break;
    blocks.push({ id: ids[last]!, k: e < traceBlock ? ((j * e) % traceBlock) / e : 0 });
  }
  return blocks;
}

function space(trace: Trace, r: number, choices: Choices): string {
  return choices.modelIdentity === 'separate' ? trace.strings[trace.request.model[r]!]! : '';
}
