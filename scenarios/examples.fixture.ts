/** Examples of the experiments specification, to the letter, for tests that must not move when a shipped scenario is tuned. */

/** Example A, 1.7: two routers x two retention policies. */
export const EXAMPLE_A = `kvcast: 1
name: quickstart
description: Two routers x two retention policies on the bundled agent trace.
seed: 42
kind: terminating
workload:
  trace: { use: weka-dev@1, pauses: debiased, sharing: tools }
  sessions: 48
  resample: bootstrap
  overlong: truncate
  arrivals: { mode: open, process: gamma, cv: 1.2, rate: 48/h }
fleet:
  model: qwen3-235b-a22b-fp8@1
  contextLimit: 262144
  pools:
    - name: main
      gpu: h100-sxm@1
      tensorParallel: 8
      expertParallel: 8
      workers: 3
      engine: { use: vllm@1, with: { blockSize: 16, maxBatchedTokens: 8192 } }
      tiers: { host: { size: 64GiB, read: 50GB/s, write: 50GB/s } }
control:
  signals: { metricsAge: 50ms, indexAge: 50ms }
matrix:
  router: [round-robin@1, dynamo-kv@1]
  retention: [lru@1, { use: kvcast-soft@1, with: { ttl: 5m, refresh: onHit } }]
baseline: round-robin+lru
slo:
  - { name: first-token, expr: "turn.ttft < 5s", scope: turn, level: error }
run:
  primary: session.activeTime.mean
  replications: { min: 10, max: 10 }
  drain: true
report: { formats: [text, html] }
`;

/** Example C, 1.9: a gate on top of example A. */
export const EXAMPLE_C = `kvcast: 1
name: ci-router-gate
description: Gate for changes of router weights and retention settings.
extends: [quickstart.yaml]
seed: 1001
workload:
  sessions: 32
matrix: null
arms:
  - {name: candidate, control: {router: {use: dynamo-kv@1, with: {c: 1.0}}, retention: {use: kvcast-soft@1, with: {ttl: 5m}}}}
baseline: candidate
run:
  replications: {min: 10, max: 20, batch: 5, until: 3%}
  horizon: 2h
  record: [sessions]
gate:
  baseline: baselines/ci-router-gate.kvbase.json
  level: 95%
  metrics:
    - {expr: turn.ttft.p(50), noise: 2%}
    - {expr: tokens.recomputed.total, noise: 3%}
  thresholds:
    - {expr: "turn.ttft{class:tool}.p(99) < 4s", level: error}
    - {expr: "goodput.sessions >= -2% vs baseline", level: error}
    - {expr: "load.imbalance < 1.6", level: warn}
report: {formats: [md, junit, github]}
`;
