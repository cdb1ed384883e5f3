/** Conformance with vLLM's own scheduler: every recorded field of every step through the stepped engine. */
import { readNumbered, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, ConformanceSuite, Family } from '../suite.ts';
import { checkScenario } from './check-scenario.ts';
import type { RecordedScenario } from './vllm-recording.ts';
import { type ReplayResult, replayScenario } from './vllm-replay.ts';

const FILES = ['m', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];

/** The suite of vLLM 0.32.0. */
export const SUITE: ConformanceSuite = {
  name: 'vllm',
  reference: 'vLLM 0.32.0, its own V1 scheduler',
  method: 'the stepped engine, every recorded field of every step',
  rules: {},
  families: (folder) =>
    FILES.flatMap((name): Family[] => {
      const file = recordingFile(folder, name);
      return file === undefined ? [] : [{ name, replay: () => outcomes(file, replayScenario) }];
    }),
};

function* outcomes(file: string, replay: (scenario: RecordedScenario) => ReplayResult): Generator<CaseOutcome> {
  for (const { line, value } of readNumbered(file)) {
    const scenario = checkScenario(value, file, line);
    const { differences, fields } = replay(scenario);
    const [difference] = differences;
    yield { id: scenario.id, fields, ...(difference === undefined ? {} : { difference }) };
  }
}
