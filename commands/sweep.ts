/** sweep: the points of one or more axes, simulated one after another on the same threads. */
import { UserError } from '../control/user-error.ts';
import { durationText, liveProgress, plainProgress } from '../reports/progress.ts';
import { sweepText } from '../reports/text/sweep.ts';
import { axisFromFile, combineAxes, parseSweepFlag } from '../scenarios/sweep-axes.ts';
import type { Executor } from '../sim/experiment/executor.ts';
import { strongestExit } from '../sim/experiment/exit-state.ts';
import { roundNumber } from '../sim/experiment/result-json.ts';
import { defaultJobs, NothingCompleteError, simulatePoint } from '../sim/experiment/simulate-point.ts';
import { ResultStore } from '../sim/experiment/store.ts';
import { reduceSweep } from '../sim/experiment/sweep.ts';
import { threadsAvailable } from '../sim/experiment/thread-file.ts';
import { isTtlAxis, TTL_METRICS } from '../sim/experiment/ttl-curve.ts';
import { VERSION } from '../version.ts';
import { exitOf, interruptionCode, raiseExit } from './exit-code.ts';
import { interruption } from './interruption.ts';
import { writeReports } from './reporters.ts';
import { counted, load, pointOptions, reproduceText, type SimulationOptions, shellWord } from './simulation.ts';
import { terminalOf } from './terminal.ts';

const PARETO_SECOND = 'cost.usdPerHour';

/** `kvcast sweep SCENARIO --sweep AXIS`: simulates every point; one row per point and arm. */
export async function sweep(scenario: string, options: SimulationOptions & { readonly sweep?: readonly string[] }): Promise<void> {
  const terminal = terminalOf(options);
  const loaded = await load(scenario, options, terminal);
  const notices: string[] = [];
  const written = loaded.scenario.sweep;
  const asked = options.sweep ?? [];
  const axes =
    asked.length > 0
      ? asked.map((text) => parseSweepFlag(loaded.tree, text, notices))
      : (written?.axes ?? []).map((axis, i) =>
          axisFromFile(
            loaded.tree,
            axis as Parameters<typeof axisFromFile>[1],
            loaded.origin(`sweep.axes.${i}.path`) ?? { kind: 'file' },
            notices,
          ),
        );
  if (axes.length === 0)
    throw new UserError({
      severity: 'error',
      code: 'E_USAGE',
      message: 'got no axis, expected --sweep path=values or sweep.axes in the scenario',
      hint: 'Write for example --sweep ttl=1m,5m,1h',
    });
  for (const notice of notices) terminal.note(notice);
  const isTtl = axes.length === 1 && isTtlAxis(axes[0]!.path);
  const combine = written?.combine === 'zip' ? 'zip' : 'grid';
  const points = combineAxes(axes, combine, written?.maxPoints ?? 500);
  const folder = options.out ?? `kvcast-out/${loaded.settings.name}-sweep`;
  const store = new ResultStore(folder, options.force ?? false);
  const threads = options.jobs ?? defaultJobs();
  const executor = options.executor !== 'local' && threads > 1 && threadsAvailable() ? await threadPool(threads) : undefined;
  const stop = interruption(terminal);
  const started = performance.now();
  const done: Parameters<typeof reduceSweep>[1][number][] = [];
  const flags = asked.map((s) => `--sweep ${shellWord(s)}`).join(' ');
  terminal.note(
    `kvcast ${VERSION} · ${loaded.settings.name} · ${counted(points.length, 'point')} x ${counted(loaded.arms.length, 'arm')} · ${counted(executor?.parallelism ?? 1, 'thread')}`,
  );
  try {
    for (const [i, point] of points.entries()) {
      if (stop.signal.aborted) break;
      const values = Object.fromEntries(point.values.map((v) => [v.label, String(v.value)]));
      const derived = loaded.derive(
        point.values.map((v) => ({ path: v.path, value: v.value, flag: `--sweep ${v.label}=${String(v.value)}` })),
      );
      const outcome = await simulatePoint(derived, {
        ...pointOptions(
          'sweep',
          derived,
          { ...options, metric: [...(options.metric ?? []), PARETO_SECOND, ...(isTtl ? TTL_METRICS : [])] },
          stop.signal,
          `kvcast sweep ${shellWord(scenario)} ${flags}`.trim(),
        ),
        reproduce: reproduceText(`kvcast sweep ${shellWord(scenario)} ${flags}`.trim(), loaded, options),
        out: null,
        ...(executor === undefined ? {} : { shared: executor }),
        onStart: () => undefined,
        onProgress: (f) => {
          const all = {
            ...f,
            doneJobs: i,
            totalJobs: points.length,
            share: (i + f.share) / points.length,
            elapsedMs: performance.now() - started,
          };
          terminal.progress(liveProgress(all), plainProgress(all), performance.now());
        },
      });
      if (outcome.result.truncated) break;
      done.push({ values, result: outcome.result });
      terminal.detail(`point ${i + 1}/${points.length} ${JSON.stringify(values)} in ${durationText(outcome.conducted.wallMs)}`);
    }
  } catch (error) {
    if (!(error instanceof NothingCompleteError)) throw error;
  } finally {
    stop.dispose();
    await executor?.close();
  }
  const interrupted = stop.signal.aborted && done.length < points.length;
  if (done.length === 0) throw new NothingCompleteError(`no point of ${loaded.settings.name} was complete`);
  const document = reduceSweep(
    axes.map((a) => ({ label: a.label, path: a.path, values: a.values.map(String) })),
    done,
    [done[0]!.result.scenario.primary, PARETO_SECOND],
    { points: points.length, interrupted },
  );
  const json = `${JSON.stringify(document, roundNumber, 2)}\n`;
  store.write('result.json', json);
  terminal.note(`${counted(done.length, 'point')} in ${durationText(performance.now() - started)} · wrote ${folder}/result.json`);
  writeReports(options, terminal, {
    text: (paint) =>
      `${interrupted ? `PARTIAL: first ${done.length} of ${counted(points.length, 'point')}.\n` : ''}${sweepText(document, paint)}`,
    json: () => json,
  });
  raiseExit(strongestExit([interrupted ? interruptionCode() : 0, ...done.map((point) => exitOf(point.result, options))]));
}

async function threadPool(threads: number): Promise<Executor> {
  const { ThreadExecutor } = await import('../sim/experiment/thread-executor.ts');
  return new ThreadExecutor(threads);
}
