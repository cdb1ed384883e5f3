import { describe, expect, it } from 'vitest';
import { OutcomeTable } from './outcome-table.ts';

describe('OutcomeTable', () => {
  it('applies an action once and returns the same outcome again (retention:I13)', () => {
    const table = new OutcomeTable<string>();
    let applied = 0;
    const deliver = (source: string, message: string, action: string): string =>
      table.once(source, message, action, 0, () => `outcome ${++applied}`);
    expect(deliver('gw', 'm', 'a')).toBe('outcome 1');
    expect(deliver('gw', 'm', 'a')).toBe('outcome 1');
    expect([deliver('gw', 'm', 'b'), deliver('gw', 'n', 'a'), deliver('other', 'm', 'a')]).toEqual(['outcome 2', 'outcome 3', 'outcome 4']);
    // Keys are not joined text: a separator inside an id confuses nothing.
    expect(deliver('gw","m', '', 'a')).toBe('outcome 5');
  });

  it('forgets after its age and beyond its bound, oldest first', () => {
    const table = new OutcomeTable<number>(2, 600_000);
    table.once('s', 'm', '1', 0, () => 1);
    expect(table.once('s', 'm', '1', 600_000, () => 9)).toBe(1);
    expect(table.once('s', 'm', '1', 600_001, () => 2)).toBe(2);
    table.once('s', 'm', '2', 600_002, () => 1);
    table.once('s', 'm', '3', 600_003, () => 1);
    expect(table.size).toBe(2);
    expect(table.once('s', 'm', '1', 600_004, () => 3)).toBe(3);
  });
});
