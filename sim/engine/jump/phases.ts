/** What a jumping engine is doing: nothing, about to schedule, in a step, in a run of steps. */
export const IDLE = 0;
export const PENDING = 1;
export const STEP = 2;
export const RUN = 3;
