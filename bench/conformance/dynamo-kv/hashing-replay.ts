/** Family hashing: Dynamo's wire hashes through control/dynamo-hash.ts and control/xxh3.ts. */
import {
  dynamoBlockHashes,
  dynamoMultimodalHash,
  dynamoNextHash,
  dynamoPadToken,
  dynamoSeed,
  dynamoSequenceHashes,
} from '../../../control/dynamo-hash.ts';
import { xxh3 } from '../../../control/xxh3.ts';
import { type CaseOutcome, firstDifference } from '../suite.ts';

/** One recorded hash; 64-bit numbers are decimal strings. */
export type HashingCase = { readonly id: string } & (
  | { readonly kind: 'xxh3'; readonly seed: string; readonly hex: string; readonly hash: string }
  | { readonly kind: 'next'; readonly parent: string; readonly block: string; readonly hash: string }
  | { readonly kind: 'seed'; readonly lora?: string | null; readonly namespace?: string | null; readonly seed: string }
  | { readonly kind: 'mm_pad'; readonly mm_hash: string; readonly pad_value: number }
  | { readonly kind: 'mm_identifier'; readonly identifier: string; readonly mm_hash: string | null }
  | {
      readonly kind: 'tokens';
      readonly block_size: number;
      readonly tokens: readonly number[];
      readonly lora?: string | null;
      readonly namespace?: string | null;
      readonly eagle?: boolean;
      readonly mm?: readonly (readonly string[] | null)[];
      readonly local: readonly string[];
      readonly seq: readonly string[];
    }
);

/** Compares every recorded hash of one case. */
export function replayHashing(recorded: HashingCase): CaseOutcome {
  const { got, expected } = hashed(recorded);
  const fields = Object.keys(expected).reduce((sum, name) => sum + Math.max(1, [expected[name]].flat().length), 0);
  for (const name of Object.keys(expected)) {
    const difference = firstDifference(name, got[name], expected[name]);
    if (difference !== undefined) return { id: recorded.id, fields, difference };
  }
  return { id: recorded.id, fields };
}

type Fields = Readonly<Record<string, unknown>>;

function hashed(recorded: HashingCase): { readonly got: Fields; readonly expected: Fields } {
  switch (recorded.kind) {
    case 'xxh3': {
      const bytes = Uint8Array.from(Buffer.from(recorded.hex, 'hex'));
      return { got: { hash: String(xxh3(bytes, BigInt(recorded.seed))) }, expected: { hash: recorded.hash } };
    }
    case 'next': {
      const hash = dynamoNextHash(BigInt(recorded.parent), BigInt(recorded.block));
      return { got: { hash: String(hash) }, expected: { hash: recorded.hash } };
    }
    case 'seed':
      return { got: { seed: String(dynamoSeed(scopeOf(recorded))) }, expected: { seed: recorded.seed } };
    case 'mm_pad':
      return { got: { pad_value: dynamoPadToken(BigInt(recorded.mm_hash)) }, expected: { pad_value: recorded.pad_value } };
    case 'mm_identifier': {
      const hash = dynamoMultimodalHash(recorded.identifier);
      return { got: { mm_hash: hash === null ? null : String(hash) }, expected: { mm_hash: recorded.mm_hash } };
    }
    case 'tokens': {
      const { tokens, block_size: blockTokens, eagle = false, mm = [] } = recorded;
      const multimodal = mm.map((hashes) => hashes?.map(BigInt) ?? null);
      const local = dynamoBlockHashes(tokens, blockTokens, { ...scopeOf(recorded), eagle, multimodal });
      return {
        got: { local: local.map(String), seq: dynamoSequenceHashes(local).map(String) },
        expected: { local: recorded.local, seq: recorded.seq },
      };
    }
    default:
      return { got: { kind: 'a known kind of hash' }, expected: { kind: (recorded as { kind: unknown }).kind } };
  }
}

function scopeOf(recorded: { readonly lora?: string | null; readonly namespace?: string | null }): { lora: string; namespace: string } {
  return { lora: recorded.lora ?? '', namespace: recorded.namespace ?? '' };
}
