/** The catalogue of session admission presets: documents in presets/, one per `<name>@<version>`. */
import type { SessionAdmission } from '../ports.ts';
import { UserError } from '../user-error.ts';
import none from './presets/none@1.json' with { type: 'json' };

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
  return [none] as unknown as readonly AdmissionPreset[];
}

/** Makes a session admission from a preset reference. Throws UserError E_PRESET, E_PRESET_VERSION or E_UNKNOWN_KEY. */
export function createAdmission(reference: string, params: Readonly<Record<string, unknown>>): SessionAdmission {
  const [name, version] = reference.split('@');
  const preset = admissionPresets().find((p) => p.name === name && String(p.version) === version);
  if (preset === undefined) {
    const code = name === 'none' ? 'E_PRESET_VERSION' : 'E_PRESET';
    throw new UserError({ severity: 'error', code, message: `got admission preset ${reference}, expected none@1` });
  }
  for (const key of Object.keys(params)) {
    throw new UserError({
      severity: 'error',
      code: 'E_UNKNOWN_KEY',
      path: `none@1.${key}`,
      message: 'unknown key',
      hint: 'It has no parameters',
    });
  }
  return new OpenAdmission();
}

/** `none@1`: every session runs. Deployable anywhere. */
export class OpenAdmission implements SessionAdmission {
  readonly name = 'none@1';

  admit(): 'run' {
    return 'run';
  }
}
