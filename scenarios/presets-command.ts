/** `kvcast presets [KIND [NAME]]`: what can be named, with source and confidence. Output: design/cli.md section 2. */
import { formatProblem, type Problem } from '../control/user-error.ts';
import { alignColumns, type CommandOutput } from './command-output.ts';
import {
  type Confidence,
  findPackageRoot,
  type ParameterSchema,
  type PolicyCatalogue,
  type PolicyDescription,
  type PolicyKind,
  PRESET_KINDS,
  type Preset,
  type PresetKind,
  type PresetStore,
  presetStore,
} from './presets.ts';
import { formatScalar, SCALAR_NAMES, type ScalarKind } from './scalars.ts';
import { didYouMean } from './spelling.ts';

export interface PresetsOptions {
  readonly policies?: PolicyCatalogue;
  readonly packageRoot?: string;
}

const POLICY_KINDS: readonly PolicyKind[] = ['router', 'retention', 'admission'];
const WIDTH = 100;

/** All presets, those of one kind, or the facts of one preset (`name` or `name@version`). */
export function runPresets(kind?: string, name?: string, options: PresetsOptions = {}): CommandOutput {
  const store = presetStore(options.packageRoot ?? findPackageRoot());
  const policies = options.policies ?? [];
  const kinds: readonly string[] = [
    ...PRESET_KINDS.filter((k) => store.list(k).length > 0),
    ...POLICY_KINDS.filter((k) => policies.some((p) => p.kind === k)),
  ];
  if (kind !== undefined && !kinds.includes(kind))
    return refused(`got kind ${kind}, expected ${kinds.join(', ')}`, didYouMean(kind, kinds));
  if (kind !== undefined && name !== undefined) return onePreset(kind, name, store, policies);
  const shown = kind === undefined ? kinds : [kind];
  const blocks = shown.map((k) => ({ k, lines: listOf(k, store, policies) }));
  const stdout =
    kind === undefined
      ? blocks.flatMap(({ k, lines }, i) => [...(i > 0 ? [''] : []), k, ...lines.map((line) => `  ${line}`)])
      : blocks[0]!.lines;
  return { stdout, stderr: [], exitCode: 0 };
}

function refused(message: string, hint: string | undefined): CommandOutput {
  const problem: Problem = { severity: 'error', code: 'E_USAGE', message, ...(hint === undefined ? {} : { hint }) };
  return { stdout: [], stderr: [`error ${formatProblem(problem)}`], exitCode: 2 };
}

function listOf(kind: string, store: PresetStore, policies: PolicyCatalogue): string[] {
  if (!POLICY_KINDS.includes(kind as PolicyKind)) {
    const presets = store.list(kind as PresetKind).map((ref) => store.load(kind as PresetKind, ref)!);
    return alignColumns(presets.map((preset) => [preset.ref, preset.description, confidenceOf(preset)]));
  }
  const found = policies
    .filter((policy) => policy.kind === kind)
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version - b.version));
  const refs = found.map((policy) => `${policy.name}@${policy.version}`);
  const longest = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length));
  const fixed = longest(refs) + longest(found.map((policy) => policy.title)) + 16;
  const rows = found.map((policy, i) => [refs[i]!, policy.title, parameterList(policy, WIDTH - fixed - 2), policy.confidence ?? '-']);
  const lines = alignColumns(rows);
  if (longest(lines) <= WIDTH - 2) return lines;
  // Long titles: the name and what it takes on one line, the title below.
  return found.flatMap((policy, i) => [
    `${refs[i]!.padEnd(longest(refs))}  ${parameterList(policy, WIDTH - longest(refs) - 32)}  (${policy.confidence ?? '-'})`,
    ...wrapped(policy.title, WIDTH - 6).map((line) => `    ${line}`),
  ]);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]!;
    if (line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

/** `with: ttl (required), refresh, …`, cut to about `width` columns. */
function parameterList(policy: PolicyDescription, width: number): string {
  const required = new Set(policy.params.required ?? []);
  const names = Object.keys(policy.params.properties ?? {}).map((name) => (required.has(name) ? `${name} (required)` : name));
  if (names.length === 0) return 'with: -';
  let text = `with: ${names[0]}`;
  for (const name of names.slice(1)) {
    if (text.length + name.length + 5 > Math.max(width, 24)) return `${text}, …`;
    text += `, ${name}`;
  }
  return text;
}

const WEAKEST: readonly Confidence[] = ['assumed', 'derived', 'datasheet', 'measured'];

/** The weakest evidence among the numbers of a preset. */
function confidenceOf(preset: Preset): string {
  return WEAKEST.find((level) => preset.facts.some((fact) => fact.confidence === level)) ?? '-';
}

function onePreset(kind: string, name: string, store: PresetStore, policies: PolicyCatalogue): CommandOutput {
  if (POLICY_KINDS.includes(kind as PolicyKind)) {
    const known = policies.filter((policy) => policy.kind === kind);
    const policy = known.filter((p) => p.name === name || `${p.name}@${p.version}` === name).at(-1);
    return policy === undefined
      ? unknown(
          kind,
          name,
          known.map((p) => `${p.name}@${p.version}`),
        )
      : { stdout: policyLines(policy), stderr: [], exitCode: 0 };
  }
  const ref = name.includes('@') ? name : store.newest(kind as PresetKind, name);
  const preset = ref === undefined ? undefined : store.load(kind as PresetKind, ref);
  if (preset === undefined) return unknown(kind, name, store.list(kind as PresetKind));
  const facts = preset.facts.map((fact) => [`  ${fact.path}`, String(fact.value), fact.confidence, fact.source]);
  const lines = alignColumns(facts).flatMap((line, i) =>
    line.length <= WIDTH
      ? [line]
      : [line.slice(0, line.length - facts[i]![3]!.length).trimEnd(), ...wrapped(facts[i]![3]!, WIDTH - 6).map((l) => `      ${l}`)],
  );
  return { stdout: [`${preset.ref}  ${preset.description}`, ...lines, `  sha256 ${preset.sha256}`], stderr: [], exitCode: 0 };
}

function unknown(kind: string, name: string, refs: readonly string[]): CommandOutput {
  return refused(
    `got ${kind} preset ${name}, expected one of ${refs.join(', ')}`,
    didYouMean(name, [...refs, ...refs.map((ref) => ref.replace(/@.*$/, ''))]),
  );
}

function defaultText(param: ParameterSchema): string {
  if (param.default === undefined) return '-';
  const unit = param['x-unit'] ?? param.oneOf?.find((choice) => typeof param.default === choice.type)?.['x-unit'];
  const isScalar = typeof param.default === 'number' && unit !== undefined && unit in SCALAR_NAMES;
  return isScalar ? formatScalar(unit as ScalarKind, param.default as number) : String(param.default);
}

function policyLines(policy: PolicyDescription): string[] {
  const required = new Set(policy.params.required ?? []);
  const rows = Object.entries(policy.params.properties ?? {}).map(([name, param]) => [
    `  ${name}`,
    required.has(name) ? 'required' : defaultText(param),
    param['x-unit'] ?? '',
    param.description ?? '',
  ]);
  return [`${policy.name}@${policy.version}  ${policy.title}`, ...alignColumns(rows)];
}
