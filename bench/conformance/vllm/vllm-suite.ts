/** Conformance with vLLM's own scheduler: the stepped engine in every recorded field, the jumping engine in everything it tells. */
import { readNumbered, recordingFile } from '../recording-file.ts';
import type { CaseOutcome, ConformanceSuite, Family } from '../suite.ts';
import { checkScenario } from './check-scenario.ts';
import { fitsWorker, replayJumping } from './jump-replay.ts';
import type { RecordedScenario } from './vllm-recording.ts';
import { type ReplayResult, replayScenario } from './vllm-replay.ts';

const FILES = ['m', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
/** Every scenario of this file is asynchronous. */
const ASYNCHRONOUS = 'i';

/** The suite of vLLM 0.32.0. */
export const SUITE: ConformanceSuite = {
  name: 'vllm',
  reference: 'vLLM 0.32.0, its own V1 scheduler',
  method:
    'stepped engine: every recorded field of every step; families "…, jumping": admissions, hits, preemptions, ends, KV events and totals of the jumping engine on the scenarios of async_depth 1 (it refuses 2, which the stepped engine alone replays)',
  rules: {},
  families: (folder) => [
    ...familiesOf(folder, FILES, '', replayScenario, () => true),
    ...familiesOf(
      folder,
      FILES.filter((name) => name !== ASYNCHRONOUS),
      ', jumping',
      replayJumping,
      fitsWorker,
    ),
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
