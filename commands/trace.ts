/** trace inspect, trace convert. */
import type { OutputOptions } from './terminal.ts';

/** `kvcast trace inspect FILE` */
export async function inspect(_file: string, _options: OutputOptions): Promise<void> {}

/** `kvcast trace convert FILE --to FORMAT -o OUT` */
export async function convert(_file: string, _options: OutputOptions): Promise<void> {}
