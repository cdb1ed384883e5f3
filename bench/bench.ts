/**
 * `npm run bench`: how fast kvcast is, in figures, against the goals of the data-structures specification, section 8. Wall times are
 * medians; nothing here passes or fails. Writes bench/results/NAME.json.
 *
 *   npm run bench [-- --quick] [--json]          speed and counters
 *   npm run bench -- profile [SETTING]           where the time of the event loop goes
 *   npm run results                              docs/results: headline.md (alone: npm run bench -- headline), retention.md
 *   npm run bench -- memory [--full]             a large fleet, a 1 GB file (--full), a second core
 */
import { join } from 'node:path';
import { findPackageRoot } from '../scenarios/presets.ts';
import { type BenchReport, type Figure, figureTable, machineLine, reportJson, writeReport } from './figures.ts';
import { goalFigures } from './goal-figures.ts';
import { commitOf, machineFacts } from './machine.ts';
import { memoryChild, memoryFigures } from './memory-figures.ts';
import { PROFILE_SETTINGS, profileLoop, profileText } from './profile.ts';

const args = process.argv.slice(2);
const has = (flag: string): boolean => args.includes(flag);
const words = args.filter((arg) => !arg.startsWith('-'));
const size: BenchReport['size'] = has('--quick') ? 'quick' : has('--full') ? 'full' : 'normal';

async function measured(name: string, measure: (onFigure: () => void) => Promise<Figure[]>): Promise<void> {
  const root = findPackageRoot();
  const about = {
    name: size === 'quick' ? `${name}-quick` : name,
    date: new Date().toISOString(),
    node: process.version,
    commit: commitOf(root),
    machine: machineFacts(),
    size,
  };
  const figures = await measure(() => void process.stderr.write('.'));
  process.stderr.write('\n');
  const report: BenchReport = { ...about, figures };
  const path = writeReport(join(root, 'bench/results'), report);
  if (has('--json')) process.stdout.write(reportJson(report));
  else console.log(`${figureTable(figures)}\n${machineLine(report)}\nwrote ${path}`);
}

const [command = 'goals', setting = 'agents-64'] = words;
if (command === 'goals') await measured('goals', (onFigure) => goalFigures(size === 'quick', onFigure));
else if (command === 'memory') await measured('memory', (onFigure) => memoryFigures(size, onFigure));
else if (command.startsWith('memory-')) await memoryChild(command, words.slice(1));
else if (command === 'headline') {
  const { headlineResults } = await import('./headline-results.ts');
  console.log(`wrote ${await headlineResults()}`);
} else if (command === 'retention') {
  const { retentionResults } = await import('./retention-results.ts');
  const path = await retentionResults(size === 'quick' ? 2 : undefined, (line) => console.error(line));
  console.log(`wrote ${path}`);
} else if (command === 'profile') console.log(profileText(setting, await profileLoop(setting)));
else if (command === 'peers-loop') {
  const { loopAlone } = await import('./peers/loop-alone.ts');
  console.log(JSON.stringify(await loopAlone(words[1]!, words[2]!)));
} else if (command === 'peers') (await import('./peers/peers.ts')).benchPeers(findPackageRoot(), has('--once'), has('--json'));
else {
  console.error(
    `got ${command}, expected goals, headline, memory, peers, retention or profile [${Object.keys(PROFILE_SETTINGS).join('|')}]`,
  );
  process.exitCode = 2;
}
