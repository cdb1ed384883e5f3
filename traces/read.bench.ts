/** Ingest speed and memory on a large raw file: `npx tsx traces/read.bench.ts [MB]` (1 GB needs as much disk space). */
import { measureIngest } from './ingest-figures.ts';

const f = await measureIngest(Number(process.argv[2] ?? 1000));
const line = `${f.megabytes.toFixed(0)} MB, ${f.requests} requests: ${f.megabytesPerS.toFixed(0)} MB/s, +${f.peakMiB.toFixed(0)} MiB`;
process.stdout.write(`${line}; cache ${f.cacheBytesPerRequest.toFixed(1)} B per request, ${f.cachedMs.toFixed(0)} ms\n`);
