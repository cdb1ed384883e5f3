/** Whether a candidate has the inputs of its baseline, and which leaves say that it has not. Source: experiments specification 5.4. */
import type { LoadedArm, LoadedScenario } from '../../../scenarios/load-scenario.ts';
import { originText } from '../../../scenarios/problem-place.ts';
import { BASELINE_FORMAT, type Baseline, isOtherMajor } from './baseline-file.ts';
import type { InputRow, LeafChange } from './gate-result.ts';
import { type GateInputs, type InputKind, type LeafTexts, leavesOfInput } from './input-leaves.ts';

/** A candidate as far as inputs go. */
export interface InputCandidate {
  readonly loaded: LoadedScenario;
  readonly arm: LoadedArm;
  readonly inputs: GateInputs;
  readonly kvcastVersion: string;
}

const HASHES = [
  ['workload', 'workloadHash'],
  ['trace', 'traceHash'],
  ['fleet', 'fleetHash'],
  ['model', 'modelHash'],
  ['settings', 'settingsHash'],
] as const;

/**
 * One row per compared input, in order. A file of another major version yields that row alone: nothing else in it is known. Workload
 * hashes are compared as far as both sides have them. Patch versions of kvcast are equal: they must not change results.
 */
export function inputRows(baseline: Baseline, candidate: InputCandidate): InputRow[] {
  const format = row('format', baseline.formatVersion, BASELINE_FORMAT, !isOtherMajor(baseline), []);
  if (!format.equal) return [format];
  const rows = HASHES.map(([kind, name]) => inputRow(kind, name, baseline, candidate));
  const own = candidate.kvcastVersion;
  const version = row('kvcast', baseline.kvcastVersion, own, minorOf(baseline.kvcastVersion) === minorOf(own), []);
  return [format, ...explained(rows), version];
}

/** Leaves of the policy that differ. */
export function policyChanges(
  baseline: Baseline,
  { loaded, arm }: Pick<InputCandidate, 'loaded' | 'arm'>,
  candidateHash: string,
): LeafChange[] {
  if (baseline.policy.hash === candidateHash) return [];
  return leafChanges(textsOf(baseline.policy.leaves), leavesOfInput(arm.leaves(), 'policy'), loaded, arm);
}

function inputRow(kind: InputKind, name: (typeof HASHES)[number][1], baseline: Baseline, candidate: InputCandidate): InputRow {
  const { inputs, loaded, arm } = candidate;
  const [old, now] =
    name === 'workloadHash' ? firstDifferent(baseline.inputs.workloadHash, inputs.workloadHash) : [baseline.inputs[name], inputs[name]];
  const changes = old === now ? [] : leafChanges(textsOf(baseline.inputs.leaves[kind]), inputs.leaves[kind], loaded, arm);
  return row(name, old, now, old === now, changes);
}

/** The first pair of workloads that differ, else the first. */
function firstDifferent(a: readonly string[], b: readonly string[]): readonly [string, string] {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return [a[i]!, b[i]!];
  return [a[0] ?? '-', b[0] ?? '-'];
}

function row(input: string, baseline: string, candidate: string, equal: boolean, leaves: readonly LeafChange[]): InputRow {
  return { input, baseline, candidate, equal, leaves };
}

/** A workload follows from other inputs; a trace may have other content under the same name. */
function explained(rows: readonly InputRow[]): InputRow[] {
  const others = rows.filter((r) => !r.equal && r.input !== 'workloadHash' && r.input !== 'settingsHash').map((r) => r.input);
  return rows.map((r) => {
    if (r.equal || r.leaves.length > 0) return r;
    if (r.input === 'traceHash') return { ...r, note: 'other content under the same name' };
    if (r.input === 'workloadHash')
      return { ...r, note: others.length > 0 ? `follows from ${others.join(', ')}` : 'drawn differently by this version' };
    return { ...r, note: 'same leaves, written by another version' };
  });
}

function leafChanges(old: LeafTexts, now: LeafTexts, loaded: LoadedScenario, arm: LoadedArm): LeafChange[] {
  const paths = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort();
  return paths.flatMap((path): LeafChange[] => {
    const baseline = old[path] ?? null;
    const candidate = now[path] ?? null;
    if (baseline === candidate) return [];
    const origin = candidate === null ? undefined : arm.origin(path);
    const place = origin?.kind === 'file' ? { file: origin.source!, line: origin.line ?? 1, column: origin.column ?? 1 } : {};
    const text = candidate === null ? null : origin === undefined ? 'derived' : originText(origin);
    return [{ path: settablePath(path, loaded, arm), baseline, candidate, origin: text, ...place }];
  });
}

/** The path under which --set reaches a leaf of this arm: through the arm, where the arm itself says something there. */
function settablePath(path: string, loaded: LoadedScenario, arm: LoadedArm): string {
  const ofArm = `arms.${arm.name}.${path}`;
  return path.startsWith('control.') && loaded.origin(ofArm) !== undefined ? ofArm : path;
}

function textsOf(texts: Readonly<Record<string, string | undefined>>): LeafTexts {
  return texts as LeafTexts;
}

/** `1.4` of `1.4.2`. */
function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}
