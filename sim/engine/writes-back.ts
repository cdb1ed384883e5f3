import type { EngineConfig } from './worker.ts';

/** Whether victims of HBM are copied to the host tier when they are evicted, and nothing before. */
export function writesBack({ hostWrite, hostBlocks, prefixCaching }: EngineConfig): boolean {
  return hostWrite === 'writeBack' && hostBlocks > 0 && prefixCaching;
}
