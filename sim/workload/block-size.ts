/** Conversion between the block size of a trace and that of an engine. Source: trace specification 2.2. */
import { UserError } from '../../control/user-error.ts';

/**
 * How ids become engine blocks. A *unit* is the smallest piece that has an identity and whole engine blocks: max(B, e) tokens.
 *
 *     e divides B:  B 64, e 16: unit = 1 id  (idsPerUnit 1), 4 engine blocks (blocksPerUnit 4)
 *     B divides e:  B 64, e 128: unit = 2 ids (idsPerUnit 2), 1 engine block; its identity is the LAST id of the group
 */
export interface BlockRatio {
  readonly traceBlockTokens: number;
  readonly engineBlockTokens: number;
  readonly unitTokens: number;
  readonly idsPerUnit: number;
  readonly blocksPerUnit: number;
}

/** Block sizes that engines offer, tokens. */
const ENGINE_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Ratio of trace blocks to engine blocks. Throws UserError E_TRACE_BLOCK_SIZE, listing sizes that work, if neither divides the other. */
export function blockRatio(traceBlockTokens: number, engineBlockTokens: number): BlockRatio {
  if (!divides(engineBlockTokens, traceBlockTokens) && !divides(traceBlockTokens, engineBlockTokens)) {
    const works = ENGINE_SIZES.filter((size) => divides(size, traceBlockTokens) || divides(traceBlockTokens, size));
    throw new UserError({
      severity: 'error',
      code: 'E_TRACE_BLOCK_SIZE',
      message: `got engine blocks of ${engineBlockTokens} tokens and trace blocks of ${traceBlockTokens}, expected one to divide the other`,
      hint: `Engine block sizes that fit this trace: ${works.join(', ')}`,
    });
  }
  return {
    traceBlockTokens,
    engineBlockTokens,
    unitTokens: Math.max(traceBlockTokens, engineBlockTokens),
    idsPerUnit: Math.max(1, engineBlockTokens / traceBlockTokens),
    blocksPerUnit: Math.max(1, traceBlockTokens / engineBlockTokens),
  };
}

/** Engine blocks of a prompt that have an identity: full blocks covered by ids. The rest of the prompt is private to the request. */
export function identifiedBlocks(ratio: BlockRatio, promptTokens: number, ids: number): number {
  const covered = Math.floor(ids / ratio.idsPerUnit) * ratio.blocksPerUnit;
  return Math.min(covered, Math.floor(promptTokens / ratio.engineBlockTokens));
}

function divides(a: number, b: number): boolean {
  return Number.isInteger(b / a);
}
