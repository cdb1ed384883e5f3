/**
 * Writes agentic Mooncake version 2: one play per session, one lane per agent, edges instead of pauses.
 * Source: trace specification 4; the schema is Dynamo's `dynamo.agentic_mooncake`.
 */
import { pauseOf, type Trace } from '../columns.ts';
import { IntervalMap } from '../interval-map.ts';

export type PauseMode = 'recorded' | 'debiased';

interface Dependency {
  readonly request_id: string;
  readonly trigger: 'dispatch' | 'completion';
  readonly delay_ms: number;
  readonly relation: 'sequence' | 'spawn' | 'join';
}

/** Lines of the file without their newlines: the header, then the rows of each play. */
export function* agenticMooncakeLines(trace: Trace, pauses: PauseMode): Generator<string> {
  const { blockTokens, source } = trace.header;
  yield JSON.stringify({
    schema: 'dynamo.agentic_mooncake',
    version: 2,
    block_size: blockTokens,
    hash_id_scope: 'local',
    source: { format: source.format, digest: source.digest },
  });
  for (let s = 0; s < trace.sessionCount; s++) yield* new PlayWriter(trace, s, pauses).rows();
}

class PlayWriter {
  readonly #trace: Trace;
  readonly #s: number;
  readonly #pauses: PauseMode;
  readonly #play: string;
  /** Old id plus this = new id. */
  readonly #shift = new IntervalMap();
  #next = 0;

  constructor(trace: Trace, s: number, pauses: PauseMode) {
    this.#trace = trace;
    this.#s = s;
    this.#pauses = pauses;
    this.#play = trace.strings[trace.session.id[s]!]!;
  }

  *rows(): Generator<string> {
    const { agent, session } = this.#trace;
    const from = session.agentFrom[this.#s]!;
    const to = session.agentFrom[this.#s + 1]!;
    for (let a = from; a < to; a++) {
      const first = agent.requestFrom[a]!;
      for (let r = first; r < agent.requestFrom[a + 1]!; r++) yield this.#row(a, r, from, to);
    }
  }

  #row(a: number, r: number, from: number, to: number): string {
    const { request, session, agent, strings, sessionHints } = this.#trace;
    const isStart = r === agent.requestFrom[a]! && agent.parent[a]! < 0;
    const arrival = session.arrivalMs[this.#s]!;
    const api = request.apiMs[r]!;
    const priority = session.priority[this.#s]!;
    const policyClass = strings[session.class[this.#s]!]!;
    const strict = sessionHints.get(this.#s)?.['strictPriority'];
    const row = {
      request_id: this.#id(a, r),
      play_id: this.#play,
      source_play_ordinal: this.#s,
      session_id: this.#lane(a),
      model: strings[request.model[r]!]!,
      input_length: request.inTokens[r]!,
      output_length: Math.max(1, request.outTokens[r]!),
      hash_ids: [] as number[],
      not_before_ms: isStart && !Number.isNaN(arrival) ? arrival : 0,
      ...(Number.isNaN(api) ? {} : { recorded_api_time_ms: api }),
      ...(priority === 0 ? {} : { priority }),
      ...(strict === undefined ? {} : { strict_priority: strict }),
      ...(policyClass === 'default' ? {} : { policy_class: policyClass }),
      dependencies: this.#dependencies(a, r, from, to),
    };
    return JSON.stringify(row).replace('"hash_ids":[]', () => `"hash_ids":[${this.#ids(r)}]`);
  }

  #dependencies(a: number, r: number, from: number, to: number): Dependency[] {
    const { agent } = this.#trace;
    if (r === agent.requestFrom[a]) {
      const parent = agent.parent[a]!;
      if (parent < 0) return [];
      const trigger = agent.spawnOn[a] === 1 ? 'completion' : 'dispatch';
      return [{ request_id: this.#id(parent, agent.spawnAfter[a]!), trigger, delay_ms: agent.spawnDelayMs[a]!, relation: 'spawn' }];
    }
    const pause = pauseOf(this.#trace, r, this.#pauses);
    const list: Dependency[] = [{ request_id: this.#id(a, r - 1), trigger: 'completion', delay_ms: pause, relation: 'sequence' }];
    for (let c = from; c < to; c++) {
      if (agent.joinBefore[c] !== r) continue;
      const last = agent.requestFrom[c + 1]! - 1;
      const delay = agent.joinDelayMs[c]! + pause;
      list.push({ request_id: this.#id(c, last), trigger: 'completion', delay_ms: delay, relation: 'join' });
    }
    return list;
  }

  #lane(a: number): string {
    return `${this.#play}/${this.#trace.strings[this.#trace.agent.id[a]!]!}`;
  }

  #id(a: number, r: number): string {
    return `${this.#lane(a)}/${r - this.#trace.agent.requestFrom[a]!}`;
  }

  /** The prompt's ids, renumbered in order of first use; an unlabelled tail gets an id of its own. */
  #ids(r: number): string {
    const { runFirst, runLast, header } = this.#trace;
    const { runFrom, inTokens } = this.#trace.request;
    const parts: string[] = [];
    for (let k = runFrom[r]!; k < runFrom[r + 1]!; k++) this.#run(runFirst[k]!, runLast[k]!, parts);
    if (header.partialTail === 'none' && inTokens[r]! % header.blockTokens > 0) parts.push(String(this.#next++));
    return parts.join(',');
  }

  #run(first: number, last: number, parts: string[]): void {
    const map = this.#shift;
    const found = map.overlaps(first, last);
    const fresh: number[] = [];
    let next = first;
    for (let j = 0; j < found; j++) {
      if (map.foundFirst[j]! > next) fresh.push(next, map.foundFirst[j]! - 1);
      next = map.foundLast[j]! + 1;
    }
    if (next <= last) fresh.push(next, last);
    for (let f = 0; f < fresh.length; f += 2) {
      map.assign(fresh[f]!, fresh[f + 1]!, this.#next - fresh[f]!);
      this.#next += fresh[f + 1]! - fresh[f]! + 1;
    }
    const pieces = map.overlaps(first, last);
    for (let j = 0; j < pieces; j++)
      for (let id = map.foundFirst[j]!; id <= map.foundLast[j]!; id++) parts.push(String(id + map.foundValue[j]!));
  }
}
