/** All pitfalls of retention specification 15 that have a scenario, one file each. */
import type { Pitfall } from './pitfall.ts';
import { S01 } from './s01-all-leased.ts';
import { S02 } from './s02-vanished-sessions.ts';
import { S03 } from './s03-preempt-or-break.ts';
import { S04 } from './s04-two-copies.ts';
import { S05 } from './s05-started-together.ts';
import { S06 } from './s06-shared-system-prompt.ts';
import { S07 } from './s07-back-of-the-queue.ts';
import { S08 } from './s08-ended-sessions.ts';
import { S09 } from './s09-clock-anchor.ts';
import { S13 } from './s13-orphans.ts';

export const PITFALLS: readonly Pitfall[] = [S01, S02, S03, S04, S05, S06, S07, S08, S09, S13];
