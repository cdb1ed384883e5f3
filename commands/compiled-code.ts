/**
 * A bundle that starts from what V8 compiled in an earlier process, lazily compiled functions included: 0.1 s of processor time less
 * for a run of ten thousand requests. The file is named by the digests of the source, V8 and its flags and carries a digest of its own;
 * what is missing, damaged or refused by V8 costs a compilation, never another program.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { cachedDataVersionTag, setFlagsFromString } from 'node:v8';
import { constants, Script } from 'node:vm';

const DIGEST_BYTES = 32;
const OLD_MS = 30 * 24 * 3600 * 1000;

/** A CommonJS bundle in the form `(function (require, module, exports, bundleUrl) { … })`. */
export class CompiledCode {
  readonly #script: Script;
  readonly #kept: string;
  readonly #isKept: boolean;
  readonly #url: string;

  private constructor(script: Script, kept: string, isKept: boolean, url: string) {
    this.#script = script;
    this.#kept = kept;
    this.#isKept = isKept;
    this.#url = url;
  }

  /** Null if the file cannot be read. `url` is what the bundle takes for its own. Cost: some milliseconds, 40 ms without kept code. */
  static load(file: string, url: string, folder: string = codeFolder()): CompiledCode | null {
    // Functions that ran once would lose their code before it is kept. A flag that differs makes V8 refuse, so it is set always.
    setFlagsFromString('--no-flush-bytecode');
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch {
      return null;
    }
    const key = createHash('sha256').update(bytes).update(`${cachedDataVersionTag()} ${process.version} ${process.arch}`).digest('hex');
    const kept = join(folder, `${key.slice(0, 40)}.code`);
    const cachedData = readKept(kept);
    const script = new Script(bytes.toString('latin1'), {
      filename: file,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
      ...(cachedData === null ? {} : { cachedData }),
    });
    return new CompiledCode(script, kept, cachedData !== null && script.cachedDataRejected !== true, url);
  }

  /** Runs the bundle; its exports. */
  run(): unknown {
    const module = { exports: {} };
    const wrapper = this.#script.runInThisContext() as (require: unknown, module: unknown, exports: unknown, bundleUrl: string) => void;
    wrapper(createRequire(this.#url), module, module.exports, this.#url);
    return module.exports;
  }

  /** Keeps what is compiled by now for the next process, unless this one started from kept code. A folder that cannot be written is left. */
  keep(): void {
    if (this.#isKept) return;
    const data = this.#script.createCachedData();
    const folder = dirname(this.#kept);
    const temporary = `${this.#kept}.${process.pid}.tmp`;
    try {
      mkdirSync(folder, { recursive: true });
      for (const name of readdirSync(folder)) removeIfOld(join(folder, name));
      writeFileSync(temporary, Buffer.concat([digest(data), data]));
      renameSync(temporary, this.#kept);
    } catch {
      // The next process compiles again.
    }
  }
}

/** `${XDG_CACHE_HOME or ~/.cache}/kvcast/code`. */
function codeFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base !== undefined && base !== '' ? base : join(homedir(), '.cache'), 'kvcast', 'code');
}

/** Code of other versions of kvcast or Node that nobody has kept anew for long. */
function removeIfOld(path: string): void {
  if (Date.now() - statSync(path).mtimeMs > OLD_MS) rmSync(path);
}

function readKept(path: string): Buffer | null {
  try {
    const bytes = readFileSync(path);
    const data = bytes.subarray(DIGEST_BYTES);
    return digest(data).equals(bytes.subarray(0, DIGEST_BYTES)) ? data : null;
  } catch {
    return null;
  }
}

function digest(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}
