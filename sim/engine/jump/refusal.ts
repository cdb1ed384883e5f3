/** Requests that a worker turns down at once. Source: engine specification 9.3, worker port. */
import type { EndStatus, EngineConfig, EngineRequest } from '../worker.ts';

/** How a request ends at its submission, or null if it may wait. */
export function refusalOf(
  request: EngineRequest,
  config: EngineConfig,
  state: 'up' | 'draining' | 'down',
): { readonly status: EndStatus; readonly reason: string } | null {
  if (state === 'down') return { status: 'lost', reason: 'down' };
  if (state === 'draining') return { status: 'handback', reason: 'draining' };
  if (!(request.promptTokens > 0)) return { status: 'rejected', reason: 'empty_prompt' };
  if (request.promptTokens >= config.maxModelLen) return { status: 'rejected', reason: 'context_limit' };
  const blocks = Math.ceil(request.promptTokens / config.blockTokens);
  return blocks > config.blocks - 1 ? { status: 'rejected', reason: 'kv_too_small' } : null;
}
