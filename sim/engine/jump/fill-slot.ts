import type { EngineRequest } from '../worker.ts';
import { PREFILL_ONLY, type RequestSlots } from './request-slots.ts';

/** Writes what a request asks for into its slot. */
export function fillSlot(slots: RequestSlots, s: number, request: EngineRequest, maxModelLen: number): void {
  const room = maxModelLen - request.promptTokens;
  const wanted = Math.max(request.outputTokens, 1);
  slots.id[s] = request.id;
  slots.leaf[s] = request.leaf;
  slots.prompt[s] = request.promptTokens;
  slots.limit[s] = Math.min(wanted, room);
  slots.ending[s] = request.outputTokens <= 0 ? PREFILL_ONLY : wanted > room ? 2 : request.stopsEarly ? 1 : 0;
  slots.unforeseen[s] = request.stopsEarly && wanted < room ? 1 : 0;
  slots.setRank(s, Number.isNaN(request.priority) ? 0 : request.priority, request.arrivalMs);
}
