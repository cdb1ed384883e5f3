/** plan: the smallest fleet that meets the objectives, or the largest load that a fleet carries. */
import { UserError } from '../control/user-error.ts';
import { durationText } from '../reports/progress.ts';
import { capacityText } from '../reports/text/capacity.ts';
import { parseScalar } from '../scenarios/scalars.ts';
import { type CapacityOptions, planCapacity } from '../sim/experiment/capacity/capacity-plan.ts';
import type { SearchedCandidate } from '../sim/experiment/capacity/search.ts';
import { openTrialJournal } from '../sim/experiment/capacity/trial-journal.ts';
import type { Trial } from '../sim/experiment/capacity/trials.ts';
import { roundNumber } from '../sim/experiment/result-json.ts';
import { chooseExecutor } from '../sim/experiment/simulate-point.ts';
import { ResultStore } from '../sim/experiment/store.ts';
import { VERSION } from '../version.ts';
import { interruptionCode, raiseExit } from './exit-code.ts';
import { interruption } from './interruption.ts';
import { writeReports } from './reporters.ts';
import { counted, load, reproduceText, type SimulationOptions, shellWord, wallTime } from './simulation.ts';
import { terminalOf } from './terminal.ts';

/** Options of `plan` beside those of every simulation. */
export interface PlanCommandOptions extends SimulationOptions {
  readonly maxLoad?: boolean;
  readonly exhaustive?: boolean;
  readonly contexts?: string;
  readonly resume?: boolean;
}

/** Outcomes of trials in the result directory. */
const JOURNAL = 'trials.jsonl';

/** `kvcast plan SCENARIO` */
export async function plan(scenario: string, options: PlanCommandOptions): Promise<void> {
  const terminal = terminalOf(options);
  const loaded = await load(scenario, options, terminal);
  const contexts = options.contexts === undefined ? [] : options.contexts.split(',').map(tokens);
  const folder = options.out ?? `kvcast-out/${loaded.settings.name}-plan`;
  const journal = trialJournal(folder, options);
  const executor = await chooseExecutor(options, Number.MAX_SAFE_INTEGER);
  const stop = interruption(terminal);
  const limit = new AbortController();
  const timer = options.timeLimit === undefined ? undefined : setTimeout(() => limit.abort(), wallTime(options.timeLimit));
  const started = performance.now();
  let stage = 'search';
  const how: CapacityOptions = {
    kvcastVersion: VERSION,
    executor,
    signal: AbortSignal.any([stop.signal, limit.signal]),
    stoppedBy: () => (stop.signal.aborted ? 'interrupted' : 'time'),
    journal: journal.trials,
    exhaustive: options.exhaustive ?? false,
    maxLoad: options.maxLoad ?? false,
    contexts,
    reproduce: reproduceText(commandOf(scenario, options), loaded, options),
    onStage: (name) => {
      stage = name;
    },
    onTrial: (trial, facts) => {
      const line = `${stage} · ${trialText(trial)} · ${counted(facts.evaluations, 'evaluation')}, ${facts.known} known · ${durationText(performance.now() - started)}`;
      terminal.progress(line, line, performance.now());
    },
    onSearched: (one) => terminal.detail(searchedText(one)),
  };
  try {
    const { document, evaluations, known } = await planCapacity(loaded, how);
    const json = `${JSON.stringify(document, roundNumber, 2)}\n`;
    journal.store.write('plan.json', json);
    journal.store.write('result.json', json);
    const searched = document.configurations.filter((row) => row.tested.length > 0).length;
    const skipped = document.configurations.length - searched;
    terminal.note(
      `plan · ${counted(searched, 'configuration')} searched, ${skipped} skipped · ${counted(evaluations, 'evaluation')}, ${known} from cache · ${durationText(performance.now() - started)} · wrote ${folder}/result.json`,
    );
    writeReports(options, terminal, { text: (paint) => capacityText(document, paint), json: () => json });
    raiseExit(document.exit.code === 130 ? interruptionCode() : document.exit.code);
  } finally {
    clearTimeout(timer);
    stop.dispose();
    await executor.close();
  }
}

function trialJournal(folder: string, { resume = false, force = false }: PlanCommandOptions) {
  // The store clears what an earlier command left, not the journal; without --resume a plan starts anew.
  const store = new ResultStore(folder, force);
  if (!resume) store.write(JOURNAL, '');
  return { store, trials: openTrialJournal(`${folder}/${JOURNAL}`, VERSION) };
}

function commandOf(scenario: string, { maxLoad, exhaustive, contexts }: PlanCommandOptions): string {
  const flags = [maxLoad ? '--max-load' : '', exhaustive ? '--exhaustive' : '', contexts === undefined ? '' : `--contexts ${contexts}`];
  return ['kvcast plan', shellWord(scenario), ...flags.filter((flag) => flag !== '')].join(' ');
}

function trialText({ candidate, size, load: factor, failure }: Trial): string {
  const varied = candidate.varied.map((v) => `${v.name} ${v.value}`).join(' ');
  const lost = failure === undefined ? '' : `, ${failure.workers} lost`;
  return `${candidate.config}${varied === '' ? '' : ` ${varied}`} x ${size} at load ${factor}${lost}`;
}

function searchedText({ candidate, status, smallest, recommended, reason }: SearchedCandidate): string {
  const sizes = smallest === null ? '' : `, min ${smallest}, recommended ${recommended ?? '-'}`;
  return `${trialText({ candidate, size: smallest ?? 0, load: 1 }).replace(/ x .*/, '')}: ${status}${sizes}${reason === null ? '' : ` (${reason})`}`;
}

function tokens(text: string): number {
  const value = parseScalar('tokens', text.trim());
  if (typeof value === 'number') return value;
  throw new UserError({
    severity: 'error',
    code: value.code,
    path: '--contexts',
    message: `got ${text}, expected ${value.expected}`,
    hint: 'For example --contexts 64k,256k,1M',
  });
}
