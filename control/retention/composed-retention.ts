import type { ActionOutcome, KvAction, Millis, RetentionEvent, RetentionPolicy } from '../ports.ts';

/** One policy of a composition and the actions that are its own. */
export interface RetentionPart {
  readonly policy: RetentionPolicy;
  owns(action: KvAction): boolean;
}

/**
 * Several policies as one: every part hears every event, in the order of retention specification 8.7 (time to keep, hints, session
 * class), and outcomes go to the part that asked. Marks of different sorts meet at the worker (ADR 9), so that no part knows another.
 */
export class ComposedRetention implements RetentionPolicy {
  readonly name: string;
  readonly deployable: string;
  readonly parts: readonly RetentionPart[];

  readonly hearsFirstTokens: boolean;

  constructor(name: string, deployable: string, parts: readonly RetentionPart[]) {
    this.name = name;
    this.deployable = deployable;
    this.parts = parts;
    this.hearsFirstTokens = parts.some(({ policy }) => policy.hearsFirstTokens === true);
  }

  get wakeMs(): Millis {
    let wakeMs = Number.POSITIVE_INFINITY;
    for (const { policy } of this.parts) wakeMs = Math.min(wakeMs, policy.wakeMs ?? Number.POSITIVE_INFINITY);
    return wakeMs;
  }

  on(event: RetentionEvent, act: (action: Omit<KvAction, 'id'>) => void): void {
    for (const { policy } of this.parts) if (event.kind !== 'answering' || policy.hearsFirstTokens === true) policy.on(event, act);
  }

  settled(action: KvAction, outcome: ActionOutcome, nowMs: Millis): void {
    for (const part of this.parts) if (part.owns(action)) part.policy.settled(action, outcome, nowMs);
  }
}
