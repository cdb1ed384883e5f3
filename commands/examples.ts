/** Examples of every command, to be copied and run; help prints them first. */
export const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  demo: ['kvcast demo', 'kvcast demo --json | jq .comparisons'],
  run: ['kvcast run quickstart --arm dynamo-kv+lru --reps 3', 'kvcast run agents-8 --set fleet.pools.main.workers=4'],
  compare: [
    'kvcast compare quickstart --reps 20 --out /tmp/cmp',
    'kvcast compare quickstart --json | jq \'.comparisons[] | select(.verdict == "regressed")\'',
  ],
  sweep: ['kvcast sweep quickstart --sweep kvcast-soft.ttl=1m,5m,15m --reps 5', 'kvcast sweep agents-8 --sweep workers=4..12:4'],
  plan: [
    'kvcast plan fleet-for-60',
    'kvcast plan fleet-for-60 --max-load --set fleet.pools.main.workers=6',
    "kvcast plan fleet-for-60 --json | jq '.answer'",
  ],
  bound: ['kvcast bound quickstart --reps 3', 'kvcast bound agents-8 --oracle belady,infinite --json | jq .arms[0].rows'],
  gate: [
    'kvcast gate scenarios/ci-router-gate.yaml',
    'kvcast gate scenarios/ci-router-gate.yaml --set arms.candidate.control.router.with.c=0.75',
    'kvcast gate scenarios/ci-router-gate.yaml --reporter md:gate.md --require-conclusive',
    'kvcast gate scenarios/ci-router-gate.yaml --baseline new.kvbase.json --update',
  ],
  init: ['kvcast init', 'kvcast init my-gate --template gate'],
  explain: [
    'kvcast explain kvcast-out/quickstart',
    "kvcast explain kvcast-out/quickstart --vs dynamo-kv+lru --metric 'turn.ttft.p(99)'",
    'kvcast explain kvcast-out/quickstart --session s0 --json | jq .rows',
    'kvcast explain kvcast-out/quickstart --only-rep 0 --reporter perfetto:timeline.json',
  ],
  check: ['kvcast check quickstart agents-8'],
  schema: ['kvcast schema --resolved quickstart', 'kvcast schema --field fleet.pools.workers'],
  presets: ['kvcast presets retention', 'kvcast presets gpu/h100-sxm'],
  conformance: ['kvcast conformance', 'kvcast conformance vllm bench/conformance/vllm/vectors'],
  doctor: ['kvcast doctor --strict'],
  trace: [
    'kvcast trace inspect traces/samples/weka_dev.jsonl.gz',
    'kvcast trace convert traces/samples/weka_dev.jsonl.gz --to agentic-mooncake -o agents.jsonl',
    'kvcast trace synthesize -n 200 -o synthetic.jsonl.gz',
  ],
};

/** Examples of a command or of one below it, such as `trace inspect`. */
export function examplesOf(name: string): readonly string[] {
  return EXAMPLES[name] ?? (EXAMPLES[name.split(' ')[0]!] ?? []).filter((example) => example.startsWith(`kvcast ${name} `));
}
