/** Where the entry of a simulation thread lies. Apart from the executor, whose thread pool takes 17 ms to load. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** True where threads can be used: the bundled thread entry exists beside this file. */
export function threadsAvailable(): boolean {
  return existsSync(threadFile());
}

/** Path of the bundled thread entry, whether this code runs from the bundle or from its sources. */
export function threadFile(): string {
  const here = import.meta.url;
  const bundled = fileURLToPath(new URL('./run-thread.js', here));
  return existsSync(bundled) ? bundled : fileURLToPath(new URL('../../dist/run-thread.js', here));
}
