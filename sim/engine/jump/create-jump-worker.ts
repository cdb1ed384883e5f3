/** The production engine: synchronous, or scheduling a step ahead. */
import type { Worker, WorkerParts } from '../worker.ts';
import { AsyncJumpWorker } from './async-worker.ts';
import { JumpWorker } from './jump-worker.ts';

/** A jumping engine of the depth that its configuration asks for. */
export function createJumpWorker(parts: WorkerParts): Worker {
  return parts.config.asyncDepth === 2 ? new AsyncJumpWorker(parts) : new JumpWorker(parts);
}
