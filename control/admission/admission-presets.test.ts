import { describe, expect, it } from 'vitest';
import type { UserError } from '../user-error.ts';
import { admissionPresets, createAdmission } from './admission-presets.ts';

describe('session admission', () => {
  it('none@1 lets every session run', () => {
    const admission = createAdmission('none@1', {});
    expect(admission.name).toBe('none@1');
    expect([0, 1, 99].map((session) => admission.admit(session, session * 1000))).toEqual(['run', 'run', 'run']);
  });

  it('refuses unknown presets, versions and parameters', () => {
    const code = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        return (error as UserError).problems[0]!.code;
      }
      return 'none thrown';
    };
    expect(code(() => createAdmission('aimd@1', {}))).toBe('E_PRESET');
    expect(code(() => createAdmission('none', {}))).toBe('E_PRESET_VERSION');
    expect(code(() => createAdmission('none@1', { n: 1 }))).toBe('E_UNKNOWN_KEY');
  });

  it('lists names, deployability and sources', () => {
    for (const preset of admissionPresets()) expect(preset.sources.length).toBeGreaterThan(0);
  });
});
