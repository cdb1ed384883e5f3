/** The catalogue of session admission presets: documents in presets/, one per `<name>@<version>`. */
import { BranchTable } from '../blocks.ts';
import type { Millis, SessionAdmission } from '../ports.ts';
import { checkKnown, presetNumber, presetProblem } from '../retention/preset-values.ts';
import { UserError } from '../user-error.ts';
import { MAX_PAUSE_MS } from './admission-gate.ts';
import { AIMD_DEFAULTS, type AimdParameters, ConcurAimd } from './concur-aimd.ts';
import concurAimd from './presets/concur-aimd@1.json' with { type: 'json' };
import none from './presets/none@1.json' with { type: 'json' };
import thunderAgent from './presets/thunder-agent@1.json' with { type: 'json' };
import { THUNDER_DEFAULTS, ThunderAgent, type ThunderParameters } from './thunder-agent.ts';

/** A preset as the catalogue lists it. */
export interface AdmissionPreset {
  readonly kind: 'admission';
  readonly name: string;
  readonly version: number;
  readonly title: string;
  readonly summary: string;
  /** yes | needs <engine feature> | simulation only. */
  readonly deployable: string;
  readonly confidence: 'measured' | 'datasheet' | 'derived' | 'assumed';
  readonly sources: readonly string[];
  readonly limits: readonly string[];
  /** JSON Schema of `with:`. */
  readonly params: {
    readonly type: 'object';
    readonly additionalProperties: false;
    readonly required?: readonly string[];
    readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

/** All admission presets, ordered by name and version. */
export function admissionPresets(): readonly AdmissionPreset[] {
  return [concurAimd, none, thunderAgent] as unknown as readonly AdmissionPreset[];
}

/**
 * Makes a session admission from a preset reference and its parameters in ms and shares. `branches`: the table of the chains it is told
 * of; `none` needs none. Throws UserError E_PRESET, E_PRESET_VERSION, E_UNKNOWN_KEY, E_TYPE or E_RANGE.
 */
export function createAdmission(
  reference: string,
  params: Readonly<Record<string, unknown>>,
  branches: BranchTable = new BranchTable(),
): SessionAdmission {
  const [name, version] = reference.split('@');
  const preset = admissionPresets().find((p) => p.name === name && String(p.version) === version);
  if (preset === undefined) {
    const known = admissionPresets().map((p) => `${p.name}@${p.version}`);
    const code = admissionPresets().some((p) => p.name === name) ? 'E_PRESET_VERSION' : 'E_PRESET';
    throw new UserError({ severity: 'error', code, message: `got admission preset ${reference}, expected one of ${known.join(', ')}` });
  }
  checkKnown(preset, params);
  if (preset.name === 'thunder-agent') return new ThunderAgent(reference, thunderParameters(preset, params), branches);
  if (preset.name === 'concur-aimd') return new ConcurAimd(reference, aimdParameters(preset, params), branches);
  return new OpenAdmission();
}

/** Longest pause that the parameters of a preset allow. Throws E_TYPE or E_RANGE. */
export function admissionMaxPauseMs(reference: string, params: Readonly<Record<string, unknown>>): Millis {
  const preset = admissionPresets().find((p) => `${p.name}@${p.version}` === reference);
  return preset === undefined ? MAX_PAUSE_MS : presetNumber(preset, params, 'maxPause', MAX_PAUSE_MS, 1000, Number.MAX_SAFE_INTEGER);
}

function thunderParameters(preset: AdmissionPreset, params: Readonly<Record<string, unknown>>): ThunderParameters {
  const d = THUNDER_DEFAULTS;
  const decay = params['decay'] ?? d.decay;
  if (typeof decay !== 'boolean') throw presetProblem('E_TYPE', preset, 'decay', `got ${String(decay)}, expected true or false`);
  admissionMaxPauseMs(`${preset.name}@${preset.version}`, params);
  return {
    periodMs: presetNumber(preset, params, 'period', d.periodMs, 100, Number.MAX_SAFE_INTEGER),
    programTokens: presetNumber(preset, params, 'programTokens', d.programTokens, 0, 1e6),
    actingWeight: presetNumber(preset, params, 'actingWeight', d.actingWeight, 0, 1),
    decay,
  };
}

function aimdParameters(preset: AdmissionPreset, params: Readonly<Record<string, unknown>>): AimdParameters {
  const d = AIMD_DEFAULTS;
  admissionMaxPauseMs(`${preset.name}@${preset.version}`, params);
  const start = params['startSessions'];
  const parameters: AimdParameters = {
    windowMs: presetNumber(preset, params, 'window', d.windowMs, 100, Number.MAX_SAFE_INTEGER),
    congestedAbove: presetNumber(preset, params, 'congestedAbove', d.congestedAbove, 0, 1),
    calmBelow: presetNumber(preset, params, 'calmBelow', d.calmBelow, 0, 1),
    fullAbove: presetNumber(preset, params, 'fullAbove', d.fullAbove, 0, 10),
    decrease: presetNumber(preset, params, 'decrease', d.decrease, 0, 1),
    minSessions: presetNumber(preset, params, 'minSessions', d.minSessions, 1, 1e6),
    startSessions: start === undefined ? d.startSessions : presetNumber(preset, params, 'startSessions', 0, 1, 1e6),
  };
  if (parameters.calmBelow > parameters.congestedAbove) {
    const got = `got ${parameters.calmBelow}, expected at most congestedAbove = ${parameters.congestedAbove}`;
    throw presetProblem('E_RANGE', preset, 'calmBelow', got);
  }
  return parameters;
}

/** `none@1`: every session runs. Deployable anywhere. */
export class OpenAdmission implements SessionAdmission {
  readonly name = 'none@1';

  admit(): 'run' {
    return 'run';
  }
}
