/** All pitfalls of retention specification 15 that have a scenario, one file each. */
import type { Pitfall } from './pitfall.ts';
import { S02 } from './s02-vanished-sessions.ts';
import { S05 } from './s05-started-together.ts';
import { S08 } from './s08-ended-sessions.ts';
import { S09 } from './s09-clock-anchor.ts';

export const PITFALLS: readonly Pitfall[] = [S02, S05, S08, S09];
