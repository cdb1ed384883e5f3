import type { LowerTiers } from './lower-tiers.ts';
import type { LoadView } from './worker.ts';

/** Fills in what an observer may see of the tiers below the host tier. */
export function viewLowerTiers(view: LoadView, lower: LowerTiers | null | undefined): void {
  view.diskUsedBlocks = lower?.filled(2) ?? 0;
  view.diskBlocks = lower?.capacity(2) ?? 0;
  view.remoteUsedBlocks = lower?.filled(3) ?? 0;
  view.remoteBlocks = lower?.capacity(3) ?? 0;
}
