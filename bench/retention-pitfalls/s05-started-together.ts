import { type Pitfall, type PitfallRun, unless } from './pitfall.ts';

/** S5: sessions that start in the same tenth of a second get deadlines that are spread over a minute, if the preset jitters. */
export const S05: Pitfall = {
  scenario: 's05-started-together',
  criterion: 'without jitter 95 % of 500 claims end within one second, with 10 % of it at most 5 %',
  violations(arms) {
    const same = burst(arms.get('no-jitter')!);
    const spread = burst(arms.get('jitter')!);
    return [
      ...[...arms].flatMap(([name, { workers }]) =>
        unless(workers[0]!.counters.claimsExpired === 500, `${name}: ${workers[0]!.counters.claimsExpired} of 500 claims ended by time`),
      ),
      ...unless(same >= 0.95, `without jitter at most ${same} of the claims end in one second`),
      ...unless(spread <= 0.05, `with jitter ${spread} of the claims end in one second`),
    ];
  },
  bug: {
    breaks: 'everybody draws the same jitter',
    file: 'control/retention/lease-retention.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text.
    from: 'this.#env.draw(`${this.name}/${request.id}#${request.attemptNumber}`)',
    to: 'this.#env.draw(this.name)',
  },
};

/** Largest share of the claims whose deadlines lie within one second. */
function burst({ sent }: PitfallRun): number {
  const deadlines = sent.map(({ action }) => action.untilMs).sort((a, b) => a - b);
  let most = 0;
  let first = 0;
  deadlines.forEach((untilMs, last) => {
    while (deadlines[first]! < untilMs - 1000) first++;
    most = Math.max(most, last - first + 1);
  });
  return most / deadlines.length;
}
