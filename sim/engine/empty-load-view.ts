import type { LoadView } from './worker.ts';

/** A view that the next look at a worker fills. */
export function emptyLoadView(): LoadView {
  return {
    running: 0,
    waiting: 0,
    kvReferencedBlocks: 0,
    kvCachedBlocks: 0,
    kvClaimedBlocks: 0,
    kvUsableBlocks: 0,
    hostUsedBlocks: 0,
    hostBlocks: 0,
    diskUsedBlocks: 0,
    diskBlocks: 0,
    remoteUsedBlocks: 0,
    remoteBlocks: 0,
    stepEndsMs: 0,
  };
}
