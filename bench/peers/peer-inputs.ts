/** The bundled traces in the forms that the peers read. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Files for the peers, and what they hold. */
export interface PeerInputs {
  readonly mooncake: string;
  readonly agents: string;
  /** Session files of inference-lab: chains of steps. */
  readonly mooncakeChains: ChainFile;
  readonly agentChains: ChainFile;
}

export interface ChainFile {
  readonly path: string;
  readonly chains: number;
  /** Time from the first start to the last, s. */
  readonly spanS: number;
}

/** A request or, with `requests`, a sub-agent. */
export interface WekaRequest {
  readonly t: number;
  readonly in: number;
  readonly out: number;
  readonly model?: string;
  readonly models?: readonly string[];
  readonly api_time?: number;
  hash_ids?: readonly (readonly [number, number])[] | readonly number[];
  readonly requests?: WekaRequest[];
}

/** A session of the bundled agent trace, ids as ranges. */
export interface WekaSession {
  models: readonly string[];
  readonly requests: WekaRequest[];
}

interface MooncakeRow {
  readonly timestamp: number;
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
}

/** A step of inference-lab's session file; gap in seconds. */
interface ChainStep {
  readonly input: number;
  readonly new: number;
  readonly output: number;
  readonly gap: number;
}

const MOONCAKE_BLOCK = 512;
const AGENT_BLOCK = 64;

/** Writes the inputs into a folder. Cost: some seconds and 100 MB. */
export function writePeerInputs(samples: string, folder: string): PeerInputs {
  mkdirSync(folder, { recursive: true });
  const mooncake = join(folder, 'mooncake.jsonl');
  const agents = join(folder, 'agents.jsonl');
  writeFileSync(mooncake, sampleText(samples, 'mooncake_conversation_trace'));
  writeFileSync(agents, linesOf<WekaSession>(sampleText(samples, 'weka_dev')).map(withListedIds).join(''));
  return { mooncake, agents, ...writeChains(samples, folder) };
}

/** Writes the chains for inference-lab only. */
export function writeChains(samples: string, folder: string): Pick<PeerInputs, 'mooncakeChains' | 'agentChains'> {
  const rows = linesOf<MooncakeRow>(sampleText(samples, 'mooncake_conversation_trace'));
  const sessions = linesOf<WekaSession>(sampleText(samples, 'weka_dev'));
  const spanS = (rows[rows.length - 1]!.timestamp - rows[0]!.timestamp) / 1000;
  return {
    mooncakeChains: chainFile(join(folder, 'mooncake-chains.jsonl'), mooncakeChains(rows), spanS),
    agentChains: chainFile(join(folder, 'agent-chains.jsonl'), sessions.flatMap(agentChains), 0),
  };
}

function sampleText(samples: string, name: string): string {
  return gunzipSync(readFileSync(join(samples, `${name}.jsonl.gz`))).toString('utf8');
}

function linesOf<T>(text: string): T[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

function chainFile(path: string, chains: readonly (readonly ChainStep[])[], spanS: number): ChainFile {
  writeFileSync(path, chains.map((steps, i) => `${JSON.stringify({ id: `c${i}`, steps })}\n`).join(''));
  return { path, chains: chains.length, spanS };
}

/** A line for AISimulate, which reads listed ids only and refuses a session that does not name every model of its sub-agents. */
export function withListedIds(session: WekaSession): string {
  const models = new Set(session.models);
  const expand = (request: WekaRequest): void => {
    for (const model of request.models ?? (request.model === undefined ? [] : [request.model])) models.add(model);
    if (request.hash_ids !== undefined)
      request.hash_ids = rangesOf(request).flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, i) => a + i));
    for (const inner of request.requests ?? []) expand(inner);
  };
  for (const request of session.requests) expand(request);
  session.models = [...models];
  return `${JSON.stringify(session)}\n`;
}

function rangesOf(request: WekaRequest): readonly (readonly [number, number])[] {
  return (request.hash_ids ?? []) as readonly (readonly [number, number])[];
}

/** One chain for the session's own requests and one for each sub-agent: inference-lab knows no spawn and no join. */
function agentChains({ requests }: WekaSession): ChainStep[][] {
  const own = requests.filter((r) => r.requests === undefined);
  const inner = requests.flatMap((r) => (r.requests === undefined ? [] : [r.requests]));
  return [own, ...inner].filter((chain) => chain.length > 0).map(chainOf);
}

function chainOf(chain: readonly WekaRequest[]): ChainStep[] {
  return chain.map((request, i) => {
    const before = chain[i - 1];
    if (before === undefined) return { input: request.in, new: request.in, output: request.out, gap: 0 };
    const shared = Math.min(request.in, commonBlocks(rangesOf(before), rangesOf(request)) * AGENT_BLOCK);
    const gap = Math.max(0, request.t - before.t - (before.api_time ?? 0));
    return { input: request.in, new: request.in - shared, output: request.out, gap };
  });
}

/** Leading blocks that two lists of ranges share. */
function commonBlocks(a: readonly (readonly [number, number])[], b: readonly (readonly [number, number])[]): number {
  let common = 0;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i]![0] !== b[i]![0]) break;
    common += Math.min(a[i]![1], b[i]![1]) - a[i]![0] + 1;
    if (a[i]![1] !== b[i]![1]) break;
  }
  return common;
}

/** Rows that continue the prompt of an earlier one, whose chain has not been continued yet, follow it; the others start chains. */
function mooncakeChains(rows: readonly MooncakeRow[]): ChainStep[][] {
  const chains: { steps: ChainStep[]; last: MooncakeRow }[] = [];
  /** Chain whose last row holds this block at its end or below it, beyond the first block, which all rows share. */
  const chainAt = new Map<number, number>();
  for (const row of rows) {
    const ids = row.hash_ids;
    let depth = ids.length - 1;
    while (depth > 0 && !isLastOf(chainAt.get(ids[depth]!), ids[depth]!, depth)) depth--;
    const found = depth > 0 ? chainAt.get(ids[depth]!)! : -1;
    const index = found >= 0 ? found : chains.length;
    if (found < 0) {
      chains.push({ steps: [{ input: row.input_length, new: row.input_length, output: row.output_length, gap: 0 }], last: row });
    } else {
      const { steps, last } = chains[found]!;
      const shared = Math.min((depth + 1) * MOONCAKE_BLOCK, row.input_length);
      const gap = Math.max(0, (row.timestamp - last.timestamp) / 1000);
      steps.push({ input: row.input_length, new: row.input_length - shared, output: row.output_length, gap });
      chains[found]!.last = row;
    }
    for (const id of ids.slice(1)) chainAt.set(id, index);
  }
  return chains.map((c) => c.steps);

  function isLastOf(chain: number | undefined, id: number, depth: number): boolean {
    return chain !== undefined && chains[chain]!.last.hash_ids[depth] === id;
  }
}
