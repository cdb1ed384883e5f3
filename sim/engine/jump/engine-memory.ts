/** Memory that the jumping engines of one fleet share: few large rows instead of many small columns per worker. */
import { RequestSlots } from './request-slots.ts';
import { SegmentStore } from './segment-store.ts';

/** Nothing in it is visible from one worker to another, whose indices must differ. */
export class EngineMemory {
  readonly segments = new SegmentStore();
  readonly slots = new RequestSlots();
}
