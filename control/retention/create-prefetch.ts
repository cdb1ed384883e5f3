import type { RetentionPolicy } from '../ports.ts';
import { ArrivalPrefetch } from './arrival-prefetch.ts';
import { ComposedRetention, type RetentionPart } from './composed-retention.ts';
import { PREFETCH_DEPLOYABLE, type PrefetchOptions } from './prefetch-options.ts';
import type { RetentionEnv } from './retention-env.ts';
import { ReturnPrefetch } from './return-prefetch.ts';

/** A retention policy, null = none, and prefetch beside it; the policy itself where nothing is prefetched. */
export function withPrefetch(
  retention: RetentionPolicy | null,
  options: PrefetchOptions | undefined,
  env: RetentionEnv,
): RetentionPolicy | null {
  if (options === undefined) return retention;
  const parts: RetentionPart[] = retention === null ? [] : [{ policy: retention, owns: ({ verb }) => verb !== 'prefetch' }];
  const add = (policy: RetentionPolicy): void => void parts.push({ policy, owns: ({ verb }) => verb === 'prefetch' });
  if (options.onArrival) add(new ArrivalPrefetch(options, env));
  if (options.onPredicted) add(new ReturnPrefetch(options, env));
  const deployable = retention === null || retention.deployable === 'yes' ? PREFETCH_DEPLOYABLE : retention.deployable;
  return new ComposedRetention(retention?.name ?? 'lru@1', deployable, parts);
}
