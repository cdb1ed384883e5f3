/** What a plug-in author or an embedding program may import: the contract of the control plane and the result format. */
export { BranchTable } from './control/blocks.ts';
export type * from './control/ports.ts';
export type * from './sim/experiment/result.ts';
