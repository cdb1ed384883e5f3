/** How a metric is named and scaled in text: JSON keeps registry units, text uses the unit people read. */

export interface Label {
  readonly label: string;
  /** Printed unit; '' = none. */
  readonly unit: string;
  /** Registry value times factor = printed value. */
  readonly factor: number;
}

const KNOWN: Readonly<Record<string, Label>> = {
  'session.activeTime.mean': { label: 'session active time', unit: 's', factor: 1 },
  'session.completion.mean': { label: 'session completion', unit: 's', factor: 1 },
  'turn.ttft.mean': { label: 'TTFT mean', unit: 's', factor: 1 },
  'turn.ttft.p(50)': { label: 'TTFT p50', unit: 's', factor: 1 },
  'turn.ttft.p(90)': { label: 'TTFT p90', unit: 's', factor: 1 },
  'turn.ttft.p(95)': { label: 'TTFT p95', unit: 's', factor: 1 },
  'turn.ttft.p(99)': { label: 'TTFT p99', unit: 's', factor: 1 },
  'turn.itl.p(50)': { label: 'ITL p50', unit: 'ms', factor: 1000 },
  'turn.itl.p(99)': { label: 'ITL p99', unit: 'ms', factor: 1000 },
  'turn.itl.mean': { label: 'ITL mean', unit: 'ms', factor: 1000 },
  'turn.tpot.mean': { label: 'TPOT mean', unit: 'ms', factor: 1000 },
  'turn.e2e.p(50)': { label: 'E2E p50', unit: 's', factor: 1 },
  'turn.queue.p(99)': { label: 'queue p99', unit: 's', factor: 1 },
  'goodput.turns': { label: 'turns within SLO', unit: '%', factor: 100 },
  'goodput.sessions': { label: 'good sessions', unit: '1/h', factor: 1 },
  'kv.hit.total': { label: 'KV hit total', unit: '%', factor: 100 },
  'kv.hit.hbm': { label: 'KV hit HBM', unit: '%', factor: 100 },
  'kv.hit.host': { label: 'KV hit host', unit: '%', factor: 100 },
  'kv.idlePerActive': { label: 'idle KV per active', unit: '', factor: 1 },
  'kv.claimedPerActive': { label: 'claimed KV per active', unit: '', factor: 1 },
  'tokens.recomputed.total': { label: 'recomputed', unit: 'M tokens', factor: 1e-6 },
  'tokens.compulsory': { label: 'compulsory', unit: 'M tokens', factor: 1e-6 },
  'load.imbalance': { label: 'load imbalance', unit: '', factor: 1 },
  'engine.utilization': { label: 'utilisation', unit: '%', factor: 100 },
  'engine.preemptions': { label: 'preemptions', unit: '', factor: 1 },
  'cost.usdPerHour': { label: 'cost', unit: 'USD/h', factor: 1 },
  'cost.usdPerSession': { label: 'cost per session', unit: 'USD', factor: 1 },
};

const UNITS: Readonly<Record<string, readonly [string, number]>> = { '1': ['', 1], tok: ['tokens', 1], count: ['', 1] };

/** Label of a metric expression; unknown ones are printed as written in their registry unit. */
export function labelOf(expr: string, registryUnit: string, scale?: string): Label {
  const known = KNOWN[expr];
  if (known !== undefined) return known;
  if (scale === 'proportion') return { label: expr, unit: '%', factor: 100 };
  const [unit, factor] = UNITS[registryUnit] ?? [registryUnit, 1];
  return { label: expr, unit, factor };
}

/** `TTFT p50, s` */
export function labelWithUnit(label: Label): string {
  return label.unit === '' ? label.label : `${label.label}, ${label.unit}`;
}
