import type { PauseKind } from '../ports.ts';

/** Names of the classes of a pause, from the narrowest to the widest. */
export type ClassNames = (pause: PauseKind, toolName: string | undefined) => readonly string[];

/** Most tools per kind of pause whose names are kept; those of further ones are made anew. */
const MAX_TOOLS = 1024;

/** Makes the names of a pause's classes once per kind and tool: a text that is the same one is found faster than an equal one. */
export class PauseClasses {
  readonly #make: ClassNames;
  readonly #known: Readonly<Record<PauseKind, Map<string | undefined, readonly string[]>>> = {
    tool: new Map(),
    human: new Map(),
    join: new Map(),
    none: new Map(),
  };

  constructor(make: ClassNames) {
    this.#make = make;
  }

  of(pause: PauseKind, toolName: string | undefined): readonly string[] {
    const known = this.#known[pause];
    let names = known.get(toolName);
    if (names === undefined) {
      names = this.#make(pause, toolName);
      if (known.size < MAX_TOOLS) known.set(toolName, names);
    }
    return names;
  }
}
