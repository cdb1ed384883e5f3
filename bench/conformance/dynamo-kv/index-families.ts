/** Families hashing, indexer, tiers, approx_ttl, approx_lru. */
import { readRecording, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, Family } from '../suite.ts';
import { type ApproxLruCase, type ApproxTtlCase, replayApproxLru, replayApproxTtl } from './approx-replay.ts';
import { type HashingCase, replayHashing } from './hashing-replay.ts';
import { INDEXER_RULES, type IndexerCase, replayIndexer } from './indexer-replay.ts';
import { replayTiers, type TiersCase } from './tiers-replay.ts';

export const INDEX_RULES: Readonly<Record<string, string>> = { ...INDEXER_RULES };

/** The families whose recordings lie in the folder. */
export function indexFamilies(folder: string): Family[] {
  return [
    ...family<HashingCase>(folder, 'hashing', replayHashing),
    ...family<IndexerCase>(folder, 'indexer', replayIndexer),
    ...family<TiersCase>(folder, 'tiers', replayTiers),
    ...family<ApproxTtlCase>(folder, 'approx_ttl', replayApproxTtl),
    ...family<ApproxLruCase>(folder, 'approx_lru', replayApproxLru),
  ];
}

function family<Case>(folder: string, name: string, replay: (recorded: Case) => CaseOutcome): Family[] {
  const file = recordingFile(folder, name);
  if (file === undefined) return [];
  return [
    {
      name,
      *replay() {
        for (const recorded of readRecording<Case>(file)) yield replay(recorded);
      },
    },
  ];
}
