/** The tools that responses ask for, as a gateway reads their names in the response; what they take is not told. */
import { JOIN_TOOLS } from '../../control/pause-after.ts';
import type { Trace } from '../../traces/columns.ts';

const JOINS: readonly string[] = [JOIN_TOOLS[0]!];

/** Names by request, made once. A trace names tools in the spans of the pause after a request; agents that are waited for are a tool too. */
export class AskedTools {
  readonly #spans: Trace['requestTools'];
  readonly #names = new Map<number, readonly string[] | undefined>();

  constructor(trace: Trace) {
    this.#spans = trace.requestTools;
  }

  /** Tools of the response to a request, `joins` = sub-agents among them; undefined where the trace names none. Cost O(1) amortised. */
  of(request: number, joins: boolean): readonly string[] | undefined {
    if (this.#spans.size === 0) return joins ? JOINS : undefined;
    let names = this.#names.get(request);
    if (names === undefined && !this.#names.has(request)) {
      const classes = (this.#spans.get(request) ?? []).flatMap(({ class: name }) => (name === undefined ? [] : [name]));
      if (joins && !classes.some((name) => JOIN_TOOLS.includes(name))) classes.push(...JOINS);
      names = classes.length === 0 ? undefined : classes;
      this.#names.set(request, names);
    }
    return names;
  }
}
