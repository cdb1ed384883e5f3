/** Conformance with Dynamo's KV router: hashing, index, selection, booking and queue through the code of the `dynamo-kv@1` preset. */
import type { ConformanceSuite } from '../suite.ts';
import { INDEX_RULES, indexFamilies } from './index-families.ts';
import { queueFamilies } from './queue-families.ts';
import { SELECTION_RULES, selectionFamilies } from './selection-families.ts';

/** The suite of Dynamo 1.6.1. */
export const SUITE: ConformanceSuite = {
  name: 'dynamo-kv',
  reference: 'Dynamo 1.6.1, its published router crates',
  method: 'the parts of the dynamo-kv@1 preset; doubles bit for bit, ties as the whole tied set',
  rules: { ...INDEX_RULES, ...SELECTION_RULES },
  families: (folder) => [...indexFamilies(folder), ...selectionFamilies(folder), ...queueFamilies(folder)],
};
