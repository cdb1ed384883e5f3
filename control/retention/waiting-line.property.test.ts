import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Waiting, WaitingLine } from './waiting-line.ts';

interface Member extends Waiting<Member> {
  readonly name: number;
}

it('keeps who waits in the order of joining, as a list does', () => {
  const step = fc.record({ name: fc.nat(5), joins: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const members = Array.from({ length: 6 }, (_, name): Member => ({ name, sinceMs: Number.NaN, before: undefined, after: undefined }));
      const line = new WaitingLine<Member>();
      let list: number[] = [];
      steps.forEach(({ name, joins }, nowMs) => {
        line.leave(members[name]!);
        list = list.filter((other) => other !== name);
        if (joins) {
          line.enter(members[name]!, nowMs);
          list.push(name);
          expect(members[name]!.sinceMs).toBe(nowMs);
        }
        const names: number[] = [];
        for (let one = line.first; one !== undefined; one = one.after) names.push(one.name);
        expect(names).toEqual(list);
      });
    }),
  );
});
