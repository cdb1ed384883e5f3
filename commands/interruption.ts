/** First SIGINT or SIGTERM: stop starting work and keep what is complete. Second: leave at once. */
import type { Terminal } from '../reports/terminal.ts';
import { noteSignal } from './exit-code.ts';

/** An abort signal bound to the process signals until disposed. */
export function interruption(terminal: Terminal): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const onSignal = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (controller.signal.aborted) {
      terminal.clearProgress();
      process.exit(signal === 'SIGINT' ? 130 : 143);
    }
    noteSignal(signal);
    terminal.note('interrupted: keeping the complete replications; press ^C again to stop at once');
    controller.abort();
  };
  const onInt = (): void => onSignal('SIGINT');
  const onTerm = (): void => onSignal('SIGTERM');
  process.on('SIGINT', onInt);
  process.on('SIGTERM', onTerm);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', onInt);
      process.off('SIGTERM', onTerm);
    },
  };
}
