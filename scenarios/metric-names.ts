/**
 * Names of the metrics registry, for checking expressions in scenarios. sim/measure/registry.ts defines the metrics; a test there
 * holds the two lists equal. Source: experiments specification 4.
 */
const TIERS = ['hbm', 'host', 'disk', 'remote'];
const each = (prefix: string, names: readonly string[]) => names.map((name) => `${prefix}.${name}`);

export const METRIC_NAMES: readonly string[] = [
  ...each('turn', ['ttft', 'itl', 'tpot', 'e2e', 'queue', 'slowdown']),
  ...each('session', ['completion', 'activeTime', 'slowdown']),
  ...each('sessions', ['offered', 'completed', 'failed', 'abandoned', 'censored']),
  ...each('goodput', ['turns', 'sessions']),
  ...each('throughput', ['output', 'input']),
  ...each('kv.hit', [...TIERS, 'total']),
  ...each('kv.reuse', ['existed', 'captured', 'delivered']),
  'kv.hit.byTurn',
  'kv.readWrite',
  'prefill.amplification',
  'tokens.compulsory',
  ...each('tokens.recomputed', ['total', 'routing', 'inflight', 'tier', 'capacity', 'ttl', 'claim', 'dropped', 'preempted', 'fault']),
  'kv.duplicateBytes',
  ...each('load', ['imbalance', 'cv', 'jain']),
  ...each('engine', ['utilization', 'preemptions']),
  ...each('kv.occupancy', TIERS),
  ...each('kv', ['idlePerActive', 'claimedPerActive']),
  'kv.pinWaste',
  ...each('kv.prefetch', ['bytes', 'precision', 'waste', 'lateness']),
  ...each('kv.evictions', ['capacity', 'ttl', 'drop']),
  ...each('link.bytes', ['h2d', 'd2h', 'diskRead', 'diskWrite', 'remoteRead', 'remoteWrite']),
  ...each('link.utilization', ['h2d', 'd2h']),
  ...each('router', ['decisions', 'staleMiss']),
  'hints.dropped',
  ...each('claims', ['refused', 'clipped']),
  ...each('turns', ['rejected', 'timedOut']),
  'fleet.gpuHours',
  ...each('cost', ['usdPerHour', 'usdPerSession', 'usdPerGoodSession']),
  ...each('energy', ['kWh', 'whPerSession']),
  'fairness.jain',
];
