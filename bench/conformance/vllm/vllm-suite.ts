/** Conformance with vLLM's own scheduler: the stepped engine in every recorded field, the jumping engine in everything it tells. */
import { readNumbered, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, ConformanceSuite, Family } from '../suite.ts';
import { checkScenario } from './check-scenario.ts';
import type { RecordedScenario } from './vllm-recording.ts';
import { type ReplayResult, replayScenario } from './vllm-replay.ts';
import { fitsAsynchronous, fitsJumping, replayAsynchronous, replayJumping } from './worker-replay.ts';

const FILES = ['m', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
/** Files with asynchronous scenarios. */
const ASYNCHRONOUS = ['m', 'i', 'j'];

/** The suite of vLLM 0.32.0. */
export const SUITE: ConformanceSuite = {
  name: 'vllm',
  reference: 'vLLM 0.32.0, its own V1 scheduler',
  method:
    'stepped scheduler: every recorded field of every step; "…, jumping": the jumping engine as a worker in time; "…, asynchronous": the stepped worker in time, async_depth 2; both in all they tell, on the scenarios whose inputs a worker can be given',
  rules: {},
  families: (folder) => [
    ...familiesOf(folder, FILES, '', replayScenario, () => true),
    ...familiesOf(folder, FILES, ', jumping', replayJumping, fitsJumping),
    ...familiesOf(folder, ASYNCHRONOUS, ', asynchronous', replayAsynchronous, fitsAsynchronous),
  ],
};

function familiesOf(
  folder: string,
  files: readonly string[],
  suffix: string,
  replay: (scenario: RecordedScenario) => ReplayResult,
  takes: (scenario: RecordedScenario) => boolean,
): Family[] {
  return files.flatMap((name) => {
    const file = recordingFile(folder, name);
    return file === undefined ? [] : [{ name: `${name}${suffix}`, replay: () => outcomes(file, replay, takes) }];
  });
}

function* outcomes(
  file: string,
  replay: (scenario: RecordedScenario) => ReplayResult,
  takes: (scenario: RecordedScenario) => boolean,
): Generator<CaseOutcome> {
  for (const { line, value } of readNumbered(file)) {
    const scenario = checkScenario(value, file, line);
    if (!takes(scenario)) continue;
    const { differences, fields } = replay(scenario);
    const [difference] = differences;
    yield { id: scenario.id, fields, ...(difference === undefined ? {} : { difference }) };
  }
}
