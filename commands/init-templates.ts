/** What `kvcast init` writes: files of the package, copied to the same place below the folder. */

export const TEMPLATE_NAMES = ['quickstart', 'gate'] as const;
export type TemplateName = (typeof TEMPLATE_NAMES)[number];

/** A template: its files, relative to the package and to the folder, and the command to run next. */
export interface Template {
  readonly files: readonly string[];
  readonly next: string;
}

const QUICKSTART = 'scenarios/quickstart.yaml';
const GATE = 'scenarios/ci-router-gate.yaml';

export const TEMPLATES: Readonly<Record<TemplateName, Template>> = {
  quickstart: { files: [QUICKSTART, '.github/workflows/kvcast-check.yml'], next: `kvcast compare ${QUICKSTART}` },
  // The gate extends the quickstart, and is judged at once against the baseline that comes with it.
  gate: {
    files: [
      QUICKSTART,
      GATE,
      'scenarios/baselines/ci-router-gate.kvbase.json',
      '.github/workflows/kvcast.yml',
      '.github/actions/kvcast-gate/action.yml',
    ],
    next: `kvcast gate ${GATE}`,
  },
};
