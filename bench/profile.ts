/**
 * `npm run bench -- profile [SETTING]`: where the time of the event loop goes. The first arm of a setting runs once to warm up and once
 * under V8's sampling profiler; the self time of every sample goes to the source file it was taken in, and files to areas.
 */
import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';
import { noPaint } from '../reports/text/paint.ts';
import { table } from '../reports/text/table.ts';
import { prepareTrace } from '../sim/experiment/simulate.ts';
import { areaOf } from './areas.ts';
import { shown } from './figures.ts';
import { type FleetFigures, fleetFigures, scenarioPlan } from './fleet-figures.ts';
import { agents } from './goal-figures.ts';

/** Settings that can be profiled: scenario and assignments. */
export const PROFILE_SETTINGS: Readonly<Record<string, { readonly file: string; readonly sets: readonly string[] }>> = {
  mooncake: { file: 'mooncake-8', sets: [] },
  'agents-64': { file: 'agents-64', sets: agents(64, 8) },
  'agents-512': { file: 'agents-64', sets: agents(512, 2) },
  'agents-64-host': { file: 'agents-64', sets: [...agents(64, 2), 'fleet.pools.main.tiers.host.size=256GiB'] },
};

const SAMPLE_US = 200;
/** A longer time between two samples is one in which the process did not run; it counts as this much, us. */
const LONGEST_US = 5 * SAMPLE_US;

/** Self time of one area or file, us. */
export interface SelfTime {
  readonly name: string;
  readonly us: number;
}

/** What one profiled run cost. */
export interface LoopProfile {
  readonly run: FleetFigures;
  readonly areas: readonly SelfTime[];
  readonly files: readonly SelfTime[];
  readonly totalUs: number;
}

/** Runs a setting under the profiler. Takes two runs of it. */
export async function profileLoop(setting: string): Promise<LoopProfile> {
  const chosen = PROFILE_SETTINGS[setting];
  if (chosen === undefined) throw new Error(`got setting ${setting}, expected one of ${Object.keys(PROFILE_SETTINGS).join(', ')}`);
  const plan = await scenarioPlan(chosen.file, chosen.sets);
  const trace = await prepareTrace(plan);
  const session = new Session();
  session.connect();
  const post = <T>(method: string, params: object = {}): Promise<T> =>
    new Promise((resolve, reject) => {
      session.post(method, params, (error: Error | null, result?: unknown) => (error === null ? resolve(result as T) : reject(error)));
    });
  await post('Profiler.enable');
  await post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
  // The warm-up is profiled too: V8 keeps the positions of inlined functions only in code that it optimises under the profiler.
  await post('Profiler.start');
  fleetFigures(plan, trace);
  await post('Profiler.stop');
  const stop: { profile?: Promise<{ profile: Profiler.Profile }> } = {};
  const run = fleetFigures(plan, trace, {
    begin: () => void post('Profiler.start'),
    end: () => {
      stop.profile = post('Profiler.stop');
    },
  });
  const { profile } = await stop.profile!;
  session.disconnect();
  const files = selfTimes(profile, sourceFiles());
  const totalUs = files.reduce((sum, file) => sum + file.us, 0);
  return { run, files, areas: grouped(files, areaOf), totalUs };
}

/** Self time per name of a call frame, most first. Exported for its test. */
export function selfTimes(profile: Profiler.Profile, nameOf: (frame: Profiler.ProfileNode['callFrame']) => string): SelfTime[] {
  const node = new Map(profile.nodes.map((n) => [n.id, n]));
  const { samples = [], timeDeltas = [] } = profile;
  // A delta is the time since the sample before: the time until the next sample belongs to this one.
  const times = samples.map((id, i) => ({
    name: nameOf(node.get(id)!.callFrame),
    us: Math.min(Math.max(0, timeDeltas[i + 1] ?? 0), LONGEST_US),
  }));
  return grouped(times, (name) => name);
}

function grouped(times: readonly SelfTime[], key: (name: string) => string): SelfTime[] {
  const sum = new Map<string, number>();
  for (const { name, us } of times) sum.set(key(name), (sum.get(key(name)) ?? 0) + us);
  return [...sum].map(([name, us]) => ({ name, us })).sort((a, b) => b.us - a.us);
}

/** Call frames of the bundle as files of the sources. Frames of node and V8 keep their names: `(garbage collector)`, `node:zlib`. */
function sourceFiles(): (frame: Profiler.ProfileNode['callFrame']) => string {
  const maps = new Map<string, SourceMap | null>();
  return ({ url, functionName, lineNumber, columnNumber }) => {
    if (url === '') return functionName;
    if (!url.startsWith('file:')) return url;
    let map = maps.get(url);
    if (map === undefined) {
      map = sourceMap(fileURLToPath(url));
      maps.set(url, map);
    }
    const entry = map?.findEntry(lineNumber, columnNumber);
    const source = entry !== undefined && 'originalSource' in entry ? entry.originalSource : url;
    return source.replace(/^(\.\.\/)+/, '');
  };
}

function sourceMap(path: string): SourceMap | null {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')));
  } catch {
    return null;
  }
}

/** Areas with microseconds per request and share, then the costliest files. */
export function profileText(setting: string, { run, areas, files, totalUs }: LoopProfile): string {
  const columns = [{ align: 'left' }, { align: 'right' }, { align: 'right' }] as const;
  const row = ({ name, us }: SelfTime): string[] => [name, shown(us / run.requests), ((100 * us) / totalUs).toFixed(1)];
  const lines = [
    `${setting}: ${shown(run.requests)} requests, ${shown(totalUs / run.requests)} us per request under the profiler`,
    `per request: ${shown(run.eventsPerRequest)} calendar events, ${shown(run.engineEventsPerRequest)} engine events, ` +
      `${shown(run.segmentsPerRequest)} segments touched, ${shown(run.entriesPerRequest)} index and booking entries walked`,
    '',
    ...table(columns, [['area', 'us/request', '%'], ...areas.map(row)], noPaint),
    '',
    ...table(columns, [['file', 'us/request', '%'], ...files.slice(0, 25).map(row)], noPaint),
  ];
  return lines.join('\n');
}
