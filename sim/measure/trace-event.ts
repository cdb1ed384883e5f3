/** One event of a timeline; fields as the Trace Event Format (Google, 2016) names them. `ts` and `dur` in us. */
export interface TraceEvent {
  readonly name: string;
  readonly cat?: string;
  readonly ph: 'X' | 'b' | 'e' | 's' | 'f' | 'i' | 'C' | 'M';
  readonly ts: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly id?: string;
  readonly bp?: 'e';
  /** Of an instant: drawn over its whole process. */
  readonly s?: 'p';
  readonly args?: Readonly<Record<string, string | number>>;
}
