/** Texts of progress: `62 % · rep 31/50 · sim 2h14m · 1,840x real time · 412k events/s · ETA 9 s`. */
import { thousands } from './text/numbers.ts';

export interface ProgressFacts {
  readonly doneJobs: number;
  readonly totalJobs: number;
  /** Finished jobs plus shares of running ones. */
  readonly share: number;
  readonly events: number;
  readonly elapsedMs: number;
}

/** Text of the line that a terminal rewrites. */
export function liveProgress(p: ProgressFacts): string {
  const { percent, rate, eta } = parts(p);
  return `${percent} % · run ${p.doneJobs}/${p.totalJobs} · ${rate} events/s · ETA ${eta}`;
}

/** Text of a full line elsewhere. */
export function plainProgress(p: ProgressFacts): string {
  const { percent, rate, eta } = parts(p);
  return `${Math.round(p.elapsedMs / 1000)}s  ${percent} %  run ${p.doneJobs}/${p.totalJobs}  ${rate} events/s  ETA ${eta}`;
}

/** `8.3 s`, `2 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 60_000) return `${Math.round(ms / 1000)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

function parts(p: ProgressFacts): { percent: number; rate: string; eta: string } {
  const share = Math.min(1, Math.max(0, p.share));
  const perSecond = p.elapsedMs > 0 ? (p.events / p.elapsedMs) * 1000 : 0;
  const rate = perSecond >= 1000 ? `${thousands(perSecond / 1000)}k` : thousands(perSecond);
  const eta = share > 0.01 ? durationText((p.elapsedMs * (1 - share)) / share) : '…';
  return { percent: Math.floor(share * 100), rate, eta };
}
