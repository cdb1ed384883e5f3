/** Conformance with vLLM's own scheduler: every recorded field of every step through the stepped engine. */
import { readRecording, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, ConformanceSuite, Family } from '../suite.ts';
import type { RecordedScenario } from './vllm-recording.ts';
import { replayScenario } from './vllm-replay.ts';

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
      return file === undefined ? [] : [{ name, replay: () => replayFile(file) }];
    }),
};

function* replayFile(file: string): Generator<CaseOutcome> {
  for (const scenario of readRecording<RecordedScenario>(file)) {
    const { differences, fields } = replayScenario(scenario);
    yield {
      id: scenario.id,
      fields,
      ...(differences.length === 0 ? {} : { difference: { field: differences[0]!, got: undefined, expected: undefined } }),
    };
  }
}
