/** The production engine: synchronous, or scheduling a step ahead. */
import type { Worker, WorkerParts } from '../worker.ts';
import { AsyncJumpWorker } from './async-worker.ts';
import type { EngineMemory } from './engine-memory.ts';
import { JumpWorker } from './jump-worker.ts';
import { ObservedAsyncWorker, ObservedJumpWorker } from './observed-worker.ts';

/** A jumping engine of the depth that its configuration asks for; `memory`: what the workers of one fleet share. */
export function createJumpWorker(parts: WorkerParts, memory?: EngineMemory): Worker {
  if (parts.observer !== undefined) {
    return parts.config.asyncDepth === 2 ? new ObservedAsyncWorker(parts, memory) : new ObservedJumpWorker(parts, memory);
  }
  return parts.config.asyncDepth === 2 ? new AsyncJumpWorker(parts, memory) : new JumpWorker(parts, memory);
}
