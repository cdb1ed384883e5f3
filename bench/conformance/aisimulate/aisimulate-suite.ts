/** Conformance with AISimulate: times and reuse per request of an independent simulator. */
import type { ConformanceSuite } from '../suite.ts';

/** The suite of AISimulate in ai-dynamo-runtime 1.6.1. */
export const SUITE: ConformanceSuite = {
  name: 'aisimulate',
  reference: 'NVIDIA AISimulate, engine of ai-dynamo-runtime 1.6.1',
  method: 'whole runs with its two step timers; time to first token, end-to-end time and reused tokens per request',
  rules: {},
  families: () => [],
};
