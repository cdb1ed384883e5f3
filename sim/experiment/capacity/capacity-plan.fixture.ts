/** A small question of capacity whose trials take a few ms each: agents in a closed loop for a few minutes; what limits is utilisation, which varies little. */
import { type LoadedScenario, loadScenarioSync } from '../../../scenarios/load-scenario.ts';
import { LocalExecutor } from '../local-executor.ts';
import { policyCatalogue } from '../policy-catalogue.ts';
import { type CapacityOptions, planCapacity } from './capacity-plan.ts';
import { NO_JOURNAL } from './trial-journal.ts';
import { Trials } from './trials.ts';

/** Text of the scenario; `plan` is its section of that name, `busy` the largest utilisation allowed. */
export function smallQuestion(plan: string, { busy = '50%', agents = 60, seed = 3 } = {}): string {
  return `
kvcast: 1
name: small-question
seed: ${seed}
kind: steady
workload:
  synth: {use: coding-agent-weka@1, with: {sessions: 12, pauses: debiased, sharing: none}}
  resample: none
  overlong: truncate
  arrivals: {mode: closed, concurrency: ${agents}, rampUp: 30s, start: midlife}
fleet:
  model: qwen3-235b-a22b-fp8@1
  contextLimit: 131072
  pools:
    - name: main
      gpu: h100-sxm@1
      tensorParallel: 8
      expertParallel: 8
      workers: 2
      engine: {use: vllm@1, with: {blockSize: 64}}
control: {router: dynamo-kv@1, retention: lru@1}
slo:
  - {name: first-token, expr: "turn.ttft.p(50) < 30s", scope: run, level: error}
  - {name: busy, expr: "engine.utilization < ${busy}", scope: run, level: error}
run:
  horizon: 10m
  warmup: 2m
  replications: {min: 3, max: 6, batch: 3}
  primary: turn.ttft.p(90)
plan:
${plan.replace(/^/gm, '  ')}
`;
}

/** Loads such a text. */
export function loadQuestion(text: string): LoadedScenario {
  return loadScenarioSync({ text, name: 'small-question.yaml' }, { policies: policyCatalogue() });
}

/** Options that run everything in this process and keep nothing. */
export function quietOptions(changes: Partial<CapacityOptions> = {}): CapacityOptions {
  return {
    kvcastVersion: 'test',
    executor: new LocalExecutor(),
    signal: new AbortController().signal,
    stoppedBy: () => 'interrupted',
    journal: NO_JOURNAL,
    exhaustive: false,
    maxLoad: false,
    contexts: [],
    reproduce: 'kvcast plan small-question.yaml',
    onTrial: () => undefined,
    onSearched: () => undefined,
    onStage: () => undefined,
    ...changes,
  };
}

/** Plans a text. */
export function planText(text: string, changes: Partial<CapacityOptions> = {}) {
  return planCapacity(loadQuestion(text), quietOptions(changes));
}

/** Trials of a text, one process. */
export function trialsOf(loaded: LoadedScenario): Trials {
  return new Trials(loaded, {
    executor: new LocalExecutor(),
    signal: new AbortController().signal,
    metrics: [],
    journal: NO_JOURNAL,
    onTrial: () => undefined,
  });
}
