import { type Pitfall, unless } from './pitfall.ts';

/** S9: 300 s from the start of a request whose answer takes 90 s are 210 s of pause; the tool needs 240. */
export const S09: Pitfall = {
  scenario: 's09-clock-anchor',
  criterion:
    'counted from the start of the request 300 s are over when the tool returns, counted from the end of the response they are not',
  violations(arms) {
    const expected = { 'request-start': 0, 'response-end': 6400 };
    return Object.entries(expected).flatMap(([name, tokens]) => {
      const { run, sent } = arms.get(name)!;
      const hits = run.turns.hitHbmTokens[1]!;
      const gapMs = run.turns.arrivalMs[1]! - run.turns.lastTokenMs[0]!;
      return [
        ...unless(Math.abs(gapMs - 240_000) < 2, `${name}: the tool took ${gapMs} ms`),
        ...unless(sent.length > 0 && sent[0]!.outcome?.result === 'accepted', `${name}: nothing was pinned`),
        ...unless(hits === tokens, `${name}: ${hits} tokens hit, expected ${tokens}`),
      ];
    });
  },
  bug: {
    breaks: "a provider's clock starts at the end of the response",
    file: 'control/retention/lease-retention.ts',
    from: "p.anchor === 'requestStart' ? request.arrivalMs : nowMs",
    to: "p.anchor === 'requestStart' ? nowMs : nowMs",
  },
};
