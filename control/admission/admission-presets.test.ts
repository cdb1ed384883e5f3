import { describe, expect, it } from 'vitest';
import type { UserError } from '../user-error.ts';
import { admissionMaxPauseMs, admissionPresets, createAdmission } from './admission-presets.ts';

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

  it('refuses parameters with a code and a path', () => {
    const code = (preset: string, params: Record<string, unknown>): string => {
      try {
        createAdmission(preset, params);
      } catch (error) {
        const { code, path } = (error as UserError).problems[0]!;
        return `${code} ${path}`;
      }
      return 'fine';
    };
    expect(code('concur-aimd@1', {})).toBe('fine');
    expect(code('concur-aimd@1', { window: 1 })).toBe('E_RANGE concur-aimd@1.window');
    expect(code('concur-aimd@1', { calmBelow: 0.2 })).toBe('E_RANGE concur-aimd@1.calmBelow');
    expect(code('concur-aimd@1', { startSessions: 0 })).toBe('E_RANGE concur-aimd@1.startSessions');
    expect(code('thunder-agent@1', { decay: 1 })).toBe('E_TYPE thunder-agent@1.decay');
    expect(code('thunder-agent@1', { maxPause: 0 })).toBe('E_RANGE thunder-agent@1.maxPause');
    expect(code('thunder-agent@1', { perod: 5000 })).toBe('E_UNKNOWN_KEY thunder-agent@1.perod');
    expect(code('thunder-agent@2', {})).toBe('E_PRESET_VERSION undefined');
    expect(admissionMaxPauseMs('thunder-agent@1', { maxPause: 60_000 })).toBe(60_000);
    expect(admissionMaxPauseMs('none@1', {})).toBe(1_800_000);
  });
});
