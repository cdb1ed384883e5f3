/** Sentences about a waterfall, made from its rows only: every one names the rows it is made from. Source: experiments specification 7.3. */
import type { ExplainRow, Sentence } from './explain-result.ts';

/** What a component is called inside a sentence. */
const WORDS: Readonly<Record<string, string>> = {
  retry: 'time of failed attempts',
  ingress: 'way to the worker',
  gatewayQueue: "wait in the router's queue",
  'workerQueue.step': 'wait for the step in flight',
  'workerQueue.slots': 'wait for a slot',
  'workerQueue.blocks': 'wait for blocks',
  'workerQueue.budget': 'wait for the token budget',
  'tierLoad.host': 'loading from the host tier',
  'prefill.compulsory': 'prefill of new content',
  'prefill.inflight': 'prefill of what another request was computing',
  'prefill.tier': 'prefill of what a lower tier held',
  'prefill.routing': 'recomputation of what another worker held',
  'prefill.fault': 'recomputation after a fault',
  'prefill.preempted': 'recomputation after a preemption',
  'prefill.dropped': 'recomputation of what was released',
  'prefill.claim': 'recomputation after a broken claim',
  'prefill.ttl': 'recomputation after TTL expiry',
  'prefill.capacity': 'recomputation after eviction',
  'prefill.unknown': 'prefill without a known cause',
  'interference.decode': 'decodes in the same steps',
  'interference.prefill': 'prefill of others',
  overhead: 'flushes and slowed steps',
  'preempted.wait': 'wait after a preemption',
  'decode.own': 'own decoding',
  'decode.interference': 'others while decoding',
  unpaired: 'turns that only one of them served',
  residual: 'distance of the quantile from its band',
  other: 'small rows',
};

const NAMED = 3;

/** At most three sentences: the values, the largest rows on the side of the difference, the largest against it. */
export function sentencesOf(
  expr: string,
  subject: { readonly name: string; readonly value: number },
  reference: { readonly name: string; readonly value: number } | null,
  rows: readonly ExplainRow[],
): Sentence[] {
  const sizeOf = (row: ExplainRow): number => (reference === null ? row.subject : row.delta!);
  const whole = reference === null ? subject.value : subject.value - reference.value;
  const head =
    reference === null
      ? `${expr} of ${subject.name} is ${seconds(subject.value)}.`
      : `${expr} of ${subject.name} is ${seconds(subject.value)}, ${seconds(Math.abs(whole))} ${whole > 0 ? 'longer' : 'shorter'} than under ${reference.name} (${seconds(reference.value)}).`;
  const sentences: Sentence[] = [{ text: head, rows: rows.map((row) => row.id) }];
  if (whole === 0) return sentences;
  const word = reference === null ? '' : whole > 0 ? 'more ' : 'less ';
  const along = rows.filter((row) => sizeOf(row) * whole > 0 && row.component !== 'other').slice(0, NAMED);
  if (along.length > 0) {
    const parts = along.map((row) => `${Math.round((100 * sizeOf(row)) / whole)} % ${word}${WORDS[row.component]} (${row.id})`);
    sentences.push({ text: `Of it ${parts.join(', ')}.`, rows: along.map((row) => row.id) });
  }
  const against = rows.filter((row) => sizeOf(row) * whole < 0 && row.component !== 'other').slice(0, NAMED);
  if (against.length > 0) {
    const parts = against.map(
      (row) => `${WORDS[row.component]} ${sizeOf(row) > 0 ? '+' : '-'}${seconds(Math.abs(sizeOf(row)))} (${row.id})`,
    );
    sentences.push({ text: `Against it: ${parts.join(', ')}.`, rows: against.map((row) => row.id) });
  }
  return sentences;
}

/** Three significant digits with a unit. */
function seconds(s: number): string {
  return Math.abs(s) >= 1 || s === 0 ? `${Number(s.toPrecision(3))} s` : `${Number((1000 * s).toPrecision(3))} ms`;
}
