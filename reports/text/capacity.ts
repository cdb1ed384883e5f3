/** The text of `plan`: the answer in a sentence, configurations, what was tested, growth, swings, memory, assumptions. */
import type { CapacityDocument, ConfigurationRow, FleetAnswer, Varied } from '../../sim/experiment/capacity/capacity-result.ts';
import type { GrowthRow } from '../../sim/experiment/capacity/load.ts';
import type { Swing, SwingEnd } from '../../sim/experiment/capacity/tornado.ts';
import { sparkline } from './bars.ts';
import { type Label, labelOf } from './labels.ts';
import { decimalsFor, fixed, plain, scaled, thousands } from './numbers.ts';
import type { Paint } from './paint.ts';
import { type Cell, padStart, table, wrap, wrapCommand } from './table.ts';

const COLUMNS = 100;
const MARGIN = 8;

/** Lines of a capacity plan. */
export function capacityText(plan: CapacityDocument, paint: Paint): string {
  const out: string[] = [];
  if (plan.stopped !== 'complete')
    out.push(paint(`PARTIAL: ${plan.stopped === 'time' ? 'time is up' : 'interrupted'}; what follows is what was known.`, 'bad'));
  out.push(...answerLines(plan).map((line) => paint(line, 'strong')), '');
  if (plan.configurations.length > 0) out.push(...configurationTable(plan, paint), '');
  out.push(...testedLines(plan), ...growthLines(plan), ...swingLines(plan), ...memoryLines(plan), ...contextLines(plan, paint));
  const assumed = plan.assumptions.map((a) => `${a.what} ${a.value}`).join(' · ');
  out.push(...section('Assumed', assumed).map((line) => paint(line, 'dim')));
  out.push(...wrapCommand(`Reproduce: ${plan.reproduce}`, COLUMNS));
  return `${out.join('\n')}\n`;
}

function answerLines(plan: CapacityDocument): string[] {
  if (plan.question.asks === 'max-load') return wrap(loadSentence(plan), COLUMNS);
  const { answer, closest } = plan;
  if (answer === null) {
    if (closest === null) return ['✗ no configuration meets the SLOs'];
    return wrap(
      `✗ no configuration meets the SLOs; closest ${closest.config} x ${closest.size}: ${closest.objective} at ${percent(closest.use)} of its limit`,
      COLUMNS,
    );
  }
  const money = objectiveText(plan, answer.objective);
  const reserve = answer.headroom === null ? '' : `, headroom ${percent(answer.headroom - 1)}`;
  const { failure } = plan.question;
  const survives = failure.workers === 0 ? '' : `, survives ${failure.workers === 1 ? 'one failure' : `${failure.workers} failures`}`;
  return [
    ...wrap(`${answer.workers} x ${answer.config} workers (${answer.gpus} GPUs), ${money}${reserve}${survives}.`, COLUMNS),
    ...answer.alternatives.map((other) => alternativeText(plan, other)),
    ...wrap(arithmeticText(answer), COLUMNS),
  ];
}

function alternativeText(plan: CapacityDocument, other: FleetAnswer['alternatives'][number]): string {
  if (other.workers === null) return `No ${other.config} fleet meets the SLOs.`;
  return `Smallest ${other.config} alternative: ${other.workers} workers (${other.gpus} GPUs), ${objectiveText(plan, other.objective!)}.`;
}

function arithmeticText({ gpus, workers, gpusPerWorker, agents, agentsPerWorker, limitedBy }: FleetAnswer): string {
  const parts = [`${gpus} GPUs = ${workers} workers x ${gpusPerWorker}`];
  if (agents !== null) parts.push(`${thousands(agents)} agents = ${fixed(agentsPerWorker!, 1)} per worker`);
  if (limitedBy !== null) parts.push(`limited by ${limitedBy.name} (${limitedBy.expr}), at ${percent(limitedBy.use ?? 0)} of its limit`);
  return `${parts.join('; ')}.`;
}

function loadSentence({ maxLoad, scenario, growth }: CapacityDocument): string {
  if (maxLoad === null) return 'The search for the largest load was not finished.';
  if (maxLoad.load === 0) return '✗ this fleet meets the SLOs at no load';
  const agents = scenario.agents === null ? '' : ` (${thousands(scenario.agents * maxLoad.load)} agents)`;
  const more = maxLoad.atEnd ? ' or more' : '';
  const verdict = growth === null ? '' : growth.knee === null ? '; latency grows without a knee' : `; latency bends at x${growth.knee}`;
  return `This fleet carries x${plain(maxLoad.load)}${more} of the planned load${agents} within the SLOs${verdict}.`;
}

function objectiveText({ question }: CapacityDocument, value: number): string {
  const label = labelOf(question.minimize, '');
  return `${thousandsOrPlain(value * label.factor)} ${label.unit === '' ? label.label : label.unit}`;
}

function thousandsOrPlain(value: number): string {
  return Math.abs(value) >= 100 ? thousands(value) : plain(value);
}

const MARKS: Readonly<Record<ConfigurationRow['status'], string>> = {
  chosen: '✓ chosen',
  feasible: '✓ feasible',
  fragile: '✗ no reserve',
  infeasible: '✗ infeasible',
  dominated: '- dominated',
  impossible: '✗ impossible',
  open: '? open',
};

function configurationTable(plan: CapacityDocument, paint: Paint): string[] {
  const names = plan.configurations[0]!.varied.map((v) => v.name);
  const label = labelOf(plan.scenario.primary, 's');
  const objective = labelOf(plan.question.minimize, '');
  const unit = objective.unit === '' ? objective.label : objective.unit;
  const header = ['', ...names, 'bound', 'min', 'rec', 'GPUs', unit, `${label.label}, ${label.unit}`, 'limited by', 'status'];
  const rows = [...plan.configurations]
    .sort(byObjective)
    .map((row): (Cell | string)[] => [
      `  ${row.config}`,
      ...row.varied.map((v) => v.value),
      count(row.bounds?.size ?? null),
      row.status === 'dominated' && row.smallest === null ? '*' : count(row.smallest),
      count(row.recommended),
      count(row.gpus),
      row.objective === null ? '-' : `${row.status === 'dominated' ? '≥ ' : ''}${thousandsOrPlain(row.objective)}`,
      primaryText(row, label),
      row.limitedBy ?? '-',
      { text: `${MARKS[row.status]}${row.pareto ? ' ◆' : ''}`, tone: toneOf(row) },
    ]);
  const columns = header.map((_, i) => ({ align: i === 0 || i > header.length - 3 ? ('left' as const) : ('right' as const) }));
  const notes = plan.configurations.flatMap((row) => (row.reason === null ? [] : [`  ${nameOf(row)}: ${row.reason}`]));
  return [
    ...table(columns, [header.map((text) => ({ text, tone: 'dim' as const })), ...rows], paint),
    ...notes.flatMap((note) => wrap(note, COLUMNS, 4)),
  ];
}

function byObjective(a: ConfigurationRow, b: ConfigurationRow): number {
  const rank = (row: ConfigurationRow): number => (row.status === 'chosen' ? 0 : row.recommended !== null ? 1 : 2);
  return rank(a) - rank(b) || (a.objective ?? Number.POSITIVE_INFINITY) - (b.objective ?? Number.POSITIVE_INFINITY);
}

function toneOf({ status }: ConfigurationRow): 'good' | 'bad' | 'dim' {
  if (status === 'chosen' || status === 'feasible') return 'good';
  return status === 'dominated' || status === 'open' ? 'dim' : 'bad';
}

function nameOf(row: { readonly config: string; readonly varied: Varied }): string {
  return [row.config, ...row.varied.map((v) => `${v.name} ${v.value}`)].join(' ');
}

function primaryText(row: ConfigurationRow, label: Label): string {
  const p = row.primary;
  if (p === null || p.mean === null) return '-';
  const half = p.lo === null || p.hi === null ? null : ((p.hi - p.lo) / 2) * label.factor;
  const d = decimalsFor(half, p.mean * label.factor);
  return half === null ? fixed(p.mean * label.factor, d) : `${fixed(p.mean * label.factor, d)} ±${fixed(half, d)}`;
}

function count(n: number | null): string {
  return n === null ? '-' : thousands(n);
}

/** What was asked of the chosen configuration, in order. */
function testedLines({ configurations, question, failure }: CapacityDocument): string[] {
  const chosen = configurations.find((row) => row.status === 'chosen');
  if (chosen === undefined) return [];
  const first = chosen.tested.map((t) => `${t.size} ${t.verdict}${t.isProbe ? ' (probe)' : ''}`).join(', ');
  const of = (kind: 'headroom' | 'failure'): string => {
    const list = chosen.robust.filter((t) => t.kind === kind).map((t) => `${t.size} ${t.verdict}`);
    return list.join(', ');
  };
  const lost = `${question.failure.workers} worker${question.failure.workers === 1 ? '' : 's'} lost ${minutes(question.failure.forMs)}`;
  const parts = [`load ${plain(1 + question.headroom)}: ${of('headroom')}`];
  if (question.failure.workers > 0) parts.push(`${lost}: ${of('failure')}`);
  const lines = [
    ...section('Tested', `load 1.0: ${first} -> min ${chosen.smallest}`),
    ...section('', `${parts.join(' · ')} -> recommended ${chosen.recommended}`),
  ];
  if (failure !== null) lines.push(...section('Failure', failureText(failure)));
  return lines;
}

function failureText(f: NonNullable<CapacityDocument['failure']>): string {
  const again = f.extraRecomputedTokens === null ? '' : `, ${scaled(Math.max(0, f.extraRecomputedTokens))} more tokens recomputed`;
  const back =
    f.recoveredAfterMs === null
      ? 'latency is not back before the end'
      : f.recoveredAfterMs === 0
        ? 'latency stays within noise'
        : `latency is back within noise after ${minutes(f.recoveredAfterMs)}`;
  return `${f.workers} lost at ${minutes(f.lostAtMs)} for ${minutes(f.forMs)}${again}; ${back}`;
}

function growthLines({ growth, scenario }: CapacityDocument): string[] {
  if (growth === null || growth.rows.length === 0) return [];
  const label = labelOf(scenario.primary, 's');
  const arms = [...new Set(growth.rows.map((row) => row.arm))];
  const lines: string[] = [];
  const heads = growth.rows.filter((row) => row.arm === arms[0]).map((row) => `x${row.load}`);
  for (const [i, arm] of arms.entries()) {
    const rows = growth.rows.filter((row) => row.arm === arm);
    const values = rows.map((row) => row.outcome.metrics[scenario.primary]?.mean ?? null);
    const cells = values.map((v) => (v === null ? '-' : fixed(v * label.factor, decimalsFor(null, v * label.factor))));
    const wide = heads.map((h, c) => Math.max(h.length, cells[c]!.length, 5));
    const row = (name: string, texts: readonly string[], tail = ''): string =>
      `${name}${texts.map((t, c) => `  ${padStart(t, wide[c]!)}`).join('')}${tail}`.trimEnd();
    if (i === 0) lines.push(row('Growth  load        ', heads));
    lines.push(
      row(`        ${(arms.length > 1 ? arm : label.label).slice(0, 12).padEnd(12)}`, cells, `  ${label.unit}  ${sparkline(values)}`),
    );
    lines.push(row('        utilisation ', rows.map(utilisation), '  %'));
    const tail =
      i === 0
        ? `  limit ${growth.limit === null ? 'below' : `x${growth.limit}`} (decides)${growth.knee === null ? '' : `, knee x${growth.knee}`}`
        : '';
    lines.push(
      row(
        '        SLOs        ',
        rows.map((r) => (r.outcome.verdict === 'yes' ? '✓' : r.outcome.verdict === 'no' ? '✗' : '?')),
        tail,
      ),
    );
  }
  return lines;
}

function utilisation({ outcome }: GrowthRow): string {
  const mean = outcome.metrics['engine.utilization']?.mean;
  return mean == null ? '-' : fixed(mean * 100, 0);
}

function swingLines(plan: CapacityDocument): string[] {
  return plan.tornado.map((swing, i) => `${i === 0 ? 'Swing   ' : '        '}${swingText(plan, swing)}`);
}

function swingText(plan: CapacityDocument, { name, ends, flips }: Swing): string {
  const end = (e: SwingEnd): string => (e.objective === null ? 'none found' : thousandsOrPlain(e.objective));
  const unit = labelOf(plan.question.minimize, '').unit;
  const size = (e: SwingEnd): string => (e.size === null ? '-' : String(e.size));
  const flip = flips ? `yes, ${ends.map(size).join(' … ')} workers` : 'no';
  return `${name.padEnd(15)} ${ends
    .map((e) => e.label)
    .join(' / ')
    .padEnd(18)} ${ends.map(end).join(' … ').padEnd(16)} ${unit}   flips: ${flip}`.trimEnd();
}

function memoryLines({ memory: m, answer }: CapacityDocument): string[] {
  if (m === null) return [];
  const gb = (bytes: number): string => `${fixed(bytes / 1e9, 1)} GB`;
  const state = m.gpu.sequenceBytes > 0 ? ` - sequence states ${gb(m.gpu.sequenceBytes)}` : '';
  const perGpu = `per GPU ${gb(m.gpu.usableBytes)} usable of ${gb(m.gpu.memoryBytes)} - weights ${gb(m.gpu.weightBytes)} - overhead ${gb(m.gpu.overheadBytes)}${state} = KV ${gb(m.gpu.kvBytes)}`;
  const kv = `per worker (${m.gpusPerWorker} GPUs, at least ${m.minimumGpus}) ${thousands(m.hbmTokens)} tokens in HBM${m.hostTokens > 0 ? ` + ${thousands(m.hostTokens)} in host` : ''} at ${thousands(m.kvBytesPerToken)} B per token`;
  const held = answer?.agentsPerWorker == null ? '' : `; a worker carries ${fixed(answer.agentsPerWorker, 1)}`;
  const fit = `context P50 ${thousands(m.contextTokens.p50)}, P99 ${thousands(m.contextTokens.p99)} tokens: at P99 HBM holds ${m.agentsAtP99.hbm} agents${m.hostTokens > 0 ? `, with host ${m.agentsAtP99.withHost}` : ''}${held}`;
  return [...section('Memory', perGpu), ...section('', kv), ...section('', fit)];
}

function contextLines(plan: CapacityDocument, paint: Paint): string[] {
  if (plan.contexts.length === 0) return [];
  const unit = labelOf(plan.question.minimize, '').unit;
  const header = ['Context', 'limit', 'longest in HBM', 'workers', unit, 'limited by'];
  const rows = plan.contexts.map((row) => [
    '',
    scaled(row.contextTokens),
    count(row.longestInHbm),
    count(row.workers),
    row.objective === null ? '-' : thousandsOrPlain(row.objective),
    row.reason ?? row.limitedBy ?? '-',
  ]);
  const columns = header.map((_, i) => ({
    align: i === 0 || i === 5 ? ('left' as const) : ('right' as const),
    ...(i === 0 ? { minWidth: 6 } : {}),
  }));
  return table(columns, [header, ...rows], paint);
}

/** A paragraph behind a word in the margin. */
function section(word: string, text: string): string[] {
  return wrap(text, COLUMNS - MARGIN).map((line, i) => `${(i === 0 ? word : '').padEnd(MARGIN)}${line}`);
}

function percent(share: number): string {
  return `${fixed(share * 100, 0)} %`;
}

function minutes(ms: number): string {
  const m = Math.round(ms / 60_000);
  return m >= 60 ? `${Math.floor(m / 60)} h${m % 60 === 0 ? '' : ` ${m % 60} m`}` : `${m} m`;
}
