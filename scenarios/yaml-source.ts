/** Reads one YAML or JSON document into a located tree. Limits and errors: experiments specification 1.1. */
import { type Alias, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, type ParsedNode, parseDocument } from 'yaml';
import type { Problem } from '../control/user-error.ts';
import { emptyMap, indexPath, type LocatedNode, type Origin, type PathStep } from './located-tree.ts';

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_ALIASES = 100;
/** Aliases can multiply; this bounds what one file may expand to. */
const MAX_NODES = 200_000;

export interface ParsedSource {
  /** undefined for an empty document. */
  readonly root: LocatedNode | undefined;
  readonly problems: Problem[];
}

/** Parses `text`; `file` is the name shown in positions, `via` the include chain. Never throws for bad input. */
export function parseSource(text: string, file: string, via: readonly string[] = []): ParsedSource {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    const size = Buffer.byteLength(text).toLocaleString('en-US');
    return {
      root: undefined,
      problems: [{ severity: 'error', code: 'E_YAML', file, message: `got ${size} bytes, expected at most 1 MiB` }],
    };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
    schema: 'core',
    merge: false,
  });
  const reader = new TreeReader(file, via, lines);
  for (const error of [...document.errors, ...document.warnings]) reader.syntax(error.code, error.message, error.pos[0]);
  const contents = document.contents as ParsedNode | null;
  const root = reader.problems.length > 0 || contents === null ? undefined : reader.read(contents, [], document);
  return { root, problems: reader.problems };
}

type Document = ReturnType<typeof parseDocument>;

class TreeReader {
  readonly problems: Problem[] = [];
  #aliases = 0;
  #nodes = 0;
  readonly #file: string;
  readonly #via: readonly string[];
  readonly #lines: LineCounter;

  constructor(file: string, via: readonly string[], lines: LineCounter) {
    this.#file = file;
    this.#via = via;
    this.#lines = lines;
  }

  syntax(code: string, message: string, offset: number): void {
    const tab = code === 'TAB_AS_INDENT';
    this.#report(
      'E_YAML',
      offset,
      [],
      tab ? 'got a tab, expected spaces for indentation' : plainMessage(message),
      tab ? 'Replace the tab by 4 spaces' : undefined,
    );
  }

  read(node: Node, steps: PathStep[], document: Document, at?: Origin): LocatedNode {
    const origin = at ?? this.#origin(node);
    if (++this.#nodes > MAX_NODES) {
      if (this.#nodes === MAX_NODES + 1)
        this.#report('E_YAML', node.range?.[0] ?? 0, steps, `got more than ${MAX_NODES.toLocaleString('en-US')} values`);
      return { type: 'scalar', origin, value: null };
    }
    if (isAlias(node)) return this.#alias(node, steps, document);
    if (isMap(node)) return this.#map(node.items as Pair<Node, Node | null>[], steps, document, origin);
    if (isSeq(node)) {
      return { type: 'list', origin, items: (node.items as Node[]).map((item, i) => this.read(item, [...steps, i], document, at)) };
    }
    return { type: 'scalar', origin, value: this.#scalar(node, steps) };
  }

  #scalar(node: Node, steps: PathStep[]): string | number | boolean | null {
    const value = isScalar(node) ? node.value : null;
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    this.#report('E_YAML', node.range?.[0] ?? 0, steps, `got ${String(value)}, expected a string, finite number, boolean or null`);
    return null;
  }

  #map(pairs: readonly Pair<Node, Node | null>[], steps: PathStep[], document: Document, origin: Origin): LocatedNode {
    const map = emptyMap(origin);
    for (const pair of pairs) {
      const key = isScalar(pair.key) ? String(pair.key.value) : undefined;
      if (key === undefined) {
        this.#report('E_YAML', pair.key.range?.[0] ?? 0, steps, 'got a list or map as key, expected a plain key');
        continue;
      }
      if (key === '__proto__') {
        // A JavaScript object would swallow it.
        this.#report('E_UNKNOWN_KEY', pair.key.range?.[0] ?? 0, [...steps, key], 'unknown key');
        continue;
      }
      const keyOrigin = this.#origin(pair.key);
      const first = map.entries.get(key)?.keyOrigin;
      if (first !== undefined) {
        const where = `First at ${first.line}:${first.column}`;
        this.#report('E_DUPLICATE_KEY', pair.key.range?.[0] ?? 0, [...steps, key], `got a second "${key}", expected one`, where);
        continue;
      }
      const value = pair.value;
      const node: LocatedNode =
        value === null ? { type: 'scalar', origin: keyOrigin, value: null } : this.read(value, [...steps, key], document);
      map.entries.set(key, { keyOrigin, node });
    }
    return map;
  }

  #alias(alias: Alias, steps: PathStep[], document: Document): LocatedNode {
    const origin = this.#origin(alias);
    if (++this.#aliases > MAX_ALIASES) {
      if (this.#aliases === MAX_ALIASES + 1) this.#report('E_YAML', alias.range?.[0] ?? 0, steps, `got more than ${MAX_ALIASES} aliases`);
      return { type: 'scalar', origin, value: null };
    }
    const target = alias.resolve(document);
    if (target === undefined) {
      this.#report('E_YAML', alias.range?.[0] ?? 0, steps, `got alias *${alias.source}, expected an anchor of that name before it`);
      return { type: 'scalar', origin, value: null };
    }
    return this.read(target as Node, steps, document);
  }

  #origin(node: Node): Origin {
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0);
    return { kind: 'file', source: this.#file, line, column: col, ...(this.#via.length > 0 ? { via: this.#via } : {}) };
  }

  #report(code: string, offset: number, steps: PathStep[], message: string, hint?: string): void {
    const { line, col } = this.#lines.linePos(offset);
    const path = indexPath(steps);
    this.problems.push({
      severity: 'error',
      code,
      file: this.#file,
      line,
      column: col,
      ...(path === '' ? {} : { path }),
      message,
      ...(hint === undefined ? {} : { hint: `${hint}.` }),
    });
  }
}

/** First line of the parser's message without its final stop. */
function plainMessage(message: string): string {
  return message.split('\n')[0]!.replace(/\.$/, '');
}
