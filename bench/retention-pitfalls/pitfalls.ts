/** All pitfalls of retention specification 15 that have a scenario, one file each. */
import type { Pitfall } from './pitfall.ts';
import { S02 } from './s02-vanished-sessions.ts';

export const PITFALLS: readonly Pitfall[] = [S02];
