/**
 * How hard V8 works on hot code. Its optimising compiler inlines generously: that pays over minutes, but a run of ten thousand requests
 * spends half of its processor time there, so small work gets little inlining (0.3 s less of 1.3 s). Heuristics of the compiler only:
 * no result depends on them.
 */
import { setFlagsFromString } from 'node:v8';

/** `little` = hardly any inlining, no loop peeling; `usual` = as V8 does it. */
export type CompilerEffort = 'little' | 'usual';

/** Bytecode inlined into one function, bytes; 920 is V8's own value. */
const INLINED_BYTES: Readonly<Record<CompilerEffort, number>> = { little: 100, usual: 920 };

/** Up to here inlining costs more than it saves: a request takes a few microseconds less with it. */
const SMALL_REQUESTS = 40_000;

let now: CompilerEffort = 'usual';

/** The effort that suits so many simulated requests. */
export function effortFor(requests: number): CompilerEffort {
  return requests <= SMALL_REQUESTS ? 'little' : 'usual';
}

/** Sets the effort for what is compiled from now on; holds for the process. Kept code (commands/compiled-code.ts) is for `usual`. */
export function setCompilerEffort(effort: CompilerEffort): void {
  if (effort === now) return;
  now = effort;
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTES[effort]}`);
  setFlagsFromString(effort === 'usual' ? '--turbo-loop-peeling' : '--no-turbo-loop-peeling');
}
