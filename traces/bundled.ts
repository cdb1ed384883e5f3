/** The trace samples that ship with kvcast, and where they come from. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Provenance of a published file, told by its digest. */
interface KnownSource {
  readonly licence: string;
  readonly url: string;
}

const WEKA = 'https://github.com/callanjfox/kv-cache-tester';
const MOONCAKE = 'https://github.com/kvcache-ai/Mooncake';

interface BundledTrace {
  readonly file: string;
  readonly digest: string;
  readonly source: KnownSource;
}

/** Preset names a scenario may use, with version. Digests are of the files as they lie in traces/samples/. */
const BUNDLED: Readonly<Record<string, BundledTrace>> = {
  'weka-dev@1': {
    file: 'weka_dev.jsonl.gz',
    digest: 'sha256:c3cca594f8ed558f5ae63228143026bbc47a446afff64fbd6ff0ba7c6a3a1e7f',
    source: { licence: 'Apache-2.0', url: WEKA },
  },
  'mooncake-conversation@1': {
    file: 'mooncake_conversation_trace.jsonl.gz',
    digest: 'sha256:cbae1655f679723e13e66e016606208ac03590d5b470d82cc4306a249288ea8a',
    source: { licence: 'Apache-2.0', url: MOONCAKE },
  },
  'mooncake-synthetic@1': {
    file: 'mooncake_synthetic_trace.jsonl.gz',
    digest: 'sha256:e43beb47ac9d36c2e7b1254e3309dd3c39cebc26c8ef340612070bf0298bacb8',
    source: { licence: 'Apache-2.0', url: MOONCAKE },
  },
};

/** Names of the bundled traces. */
export const BUNDLED_TRACES: readonly string[] = Object.keys(BUNDLED);

/** Path of a bundled trace by preset name, or null if there is none of that name. */
export function bundledTracePath(name: string): string | null {
  const found = BUNDLED[name];
  return found === undefined ? null : join(packageRoot(), 'traces', 'samples', found.file);
}

/** Licence and home of a file we know by its digest; empty for others. */
export function knownSource(digest: string): Partial<KnownSource> {
  return Object.values(BUNDLED).find((b) => b.digest === digest)?.source ?? {};
}

/** Folder of the package, from the source tree as well as from the bundled dist/: the nearest one above with our package.json. */
function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'kvcast') return folder;
    if (dirname(folder) === folder) throw new Error('package.json of kvcast not found above the running code');
  }
}
