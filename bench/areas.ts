/** Areas of the source tree, for tables of where time goes. The first prefix that fits decides. */
const AREAS: readonly (readonly [string, string])[] = [
  ['(garbage collector)', 'garbage collection'],
  ['(', 'V8 and native code'],
  ['node:', 'node'],
  ['sim/kernel/calendar', 'calendar'],
  ['sim/kernel/', 'run hash, draws'],
  ['control/router/cost-scan', 'router: scan'],
  ['control/router/bookings', 'router: bookings'],
  ['control/router/', 'router: rest'],
  ['control/index/', 'prefix index'],
  ['control/retention/', 'retention'],
  ['control/', 'plane, branches'],
  ['sim/engine/links', 'links'],
  ['sim/engine/jump/host-', 'host tier'],
  ['sim/engine/jump/kv-', 'KV event outbox'],
  ['sim/engine/jump/hbm-pool', 'block pool'],
  ['sim/engine/jump/segment-', 'block pool'],
  ['sim/engine/jump/int-map', 'block pool'],
  ['sim/engine/', 'engine: scheduler, jumps'],
  ['sim/hardware/', 'step times'],
  ['sim/cluster/causes/', 'attribution of misses'],
  ['sim/cluster/unloaded-time', 'unloaded times'],
  ['sim/cluster/', 'cluster'],
  ['sim/workload/', 'workload'],
  ['sim/measure/', 'measures'],
];

/** Area of a source file or of a frame name of V8. */
export function areaOf(file: string): string {
  return AREAS.find(([prefix]) => file.startsWith(prefix))?.[1] ?? 'other';
}
