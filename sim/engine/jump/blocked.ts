/** Why a waiting loop ended with a candidate left; `NOT_BLOCKED` = the queue is empty or the budget used up. */
export const NOT_BLOCKED = 0;
export const BY_SEQS = 1;
export const BY_ISL_GATE = 2;
export const BY_GATE = 3;
export const BY_WATERMARK = 4;
export const BY_RESERVED = 5;
/** Chunked prefill is off and the head does not fit into the budget left. Not counted. */
export const BY_BUDGET = 6;
