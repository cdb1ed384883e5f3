import { describe, expect, it } from 'vitest';
import { Terminal, type TerminalOptions } from './terminal.ts';

const ESCAPE = '\u001b';
const ERASE = `\r${ESCAPE}[2K`;

/** Streams that remember, and a terminal on them. */
function terminal(options: Partial<TerminalOptions> & { readonly outTty?: boolean; readonly errTty?: boolean } = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const stream = (list: string[], isTTY: boolean | undefined) => ({ isTTY: isTTY === true, write: (text: string) => list.push(text) });
  const { outTty, errTty, ...rest } = options;
  const made = new Terminal(stream(out, outTty), stream(err, errTty), {
    color: 'auto',
    ascii: false,
    quiet: false,
    verbose: false,
    env: { LANG: 'en_US.UTF-8', TERM: 'xterm' },
    ...rest,
  });
  return { terminal: made, out, err, text: () => ({ out: out.join(''), err: err.join('') }) };
}

describe('plain progress', () => {
  it('says nothing in the first ten seconds, then one full line per ten seconds', () => {
    const t = terminal();
    for (let ms = 0; ms <= 35_000; ms += 100) t.terminal.progress('live', `plain ${ms}`, ms);
    expect(t.err).toEqual(['plain 10000\n', 'plain 20000\n', 'plain 30000\n']);
    expect(t.out).toEqual([]);
  });
  it('counts from the first call, wherever the clock stands', () => {
    const t = terminal();
    t.terminal.progress('live', 'first', 5_000_000);
    t.terminal.progress('live', 'second', 5_009_999);
    t.terminal.progress('live', 'third', 5_010_000);
    expect(t.err).toEqual(['third\n']);
  });
  it('is what a terminal under CI gets', () => {
    const t = terminal({ errTty: true, env: { CI: 'true', LANG: 'C.UTF-8' } });
    for (let ms = 0; ms <= 10_000; ms += 100) t.terminal.progress('live', 'plain', ms);
    expect(t.err).toEqual(['plain\n']);
  });
  it.each([true, false])('is nothing when quiet (terminal: %s)', (errTty) => {
    const t = terminal({ quiet: true, errTty });
    for (let ms = 0; ms <= 30_000; ms += 100) t.terminal.progress('live', 'plain', ms);
    t.terminal.note('wrote something');
    expect(t.err).toEqual([]);
  });
});

describe('live progress', () => {
  it('rewrites at most ten times a second', () => {
    const t = terminal({ errTty: true });
    for (let ms = 0; ms < 1000; ms++) t.terminal.progress(`at ${ms}`, 'plain', ms);
    expect(t.err).toHaveLength(10);
    expect(t.err[0]).toBe(`${ERASE}at 0`);
    expect(t.err[9]).toBe(`${ERASE}at 900`);
  });
  it.each([
    ['result', 'result\n'],
    ['note', 'note\n'],
    ['diagnostics', 'error E_X broken\n'],
  ] as const)('is erased before a %s', (what, printed) => {
    const t = terminal({ errTty: true, color: 'never' });
    t.terminal.progress('50 %', 'plain', 0);
    if (what === 'result') t.terminal.result(printed);
    else if (what === 'note') t.terminal.note('note');
    else t.terminal.diagnostics([{ severity: 'error', text: 'E_X broken' }]);
    expect(t.err.slice(0, 2)).toEqual([`${ERASE}50 %`, ERASE]);
    expect(what === 'result' ? t.out.join('') : t.err.slice(2).join('')).toBe(printed);
    t.terminal.clearProgress();
    expect(t.err.filter((text) => text === ERASE)).toHaveLength(1);
  });
  it('never touches stdout', () => {
    const t = terminal({ errTty: true, outTty: true });
    for (let ms = 0; ms < 5000; ms += 50) t.terminal.progress('live', 'plain', ms);
    t.terminal.clearProgress();
    expect(t.out).toEqual([]);
  });
});

describe('colour', () => {
  const painted = (options: Parameters<typeof terminal>[0]) => terminal(options).terminal.paint('x', 'good') !== 'x';
  it.each([
    ['on a terminal', { outTty: true }, true],
    ['not in a pipe', {}, false],
    ['not with NO_COLOR', { outTty: true, env: { NO_COLOR: '1' } }, false],
    ['with an empty NO_COLOR', { outTty: true, env: { NO_COLOR: '', TERM: 'xterm' } }, true],
    ['not on a dumb terminal', { outTty: true, env: { TERM: 'dumb' } }, false],
    ['in a pipe when always', { color: 'always' as const, env: { NO_COLOR: '1', TERM: 'dumb' } }, true],
    ['not when never', { outTty: true, color: 'never' as const }, false],
  ])('%s', (_name, options, expected) => {
    expect(painted(options)).toBe(expected);
  });
  it('is decided for each stream', () => {
    const t = terminal({ errTty: true });
    t.terminal.diagnostics([{ severity: 'error', text: 'E_X' }]);
    expect(t.text().err).toBe(`${ESCAPE}[31merror${ESCAPE}[39m E_X\n`);
    expect(t.terminal.paint('x', 'bad')).toBe('x');
  });
});

describe('ascii', () => {
  it('maps signs one column for one, on both streams', () => {
    const t = terminal({ ascii: true });
    t.terminal.result('✓ ±1 · ├─●─┤ ≈ …\n');
    t.terminal.note('a · b');
    expect(t.text()).toEqual({ out: '+ ~1 | |-o-| ~ .\n', err: 'a | b\n' });
  });
  it('is chosen on a terminal without a UTF-8 locale, not in a pipe', () => {
    const there = terminal({ outTty: true, env: { LANG: 'C' } });
    there.terminal.result('✓');
    const pipe = terminal({ env: { LANG: 'C' } });
    pipe.terminal.result('✓');
    expect([there.text().out, pipe.text().out]).toEqual(['+', '✓']);
  });
});

describe('diagnostics', () => {
  const many = (n: number) => Array.from({ length: n }, (_, i) => ({ severity: 'error' as const, text: `E_X number ${i + 1}` }));
  it('are twenty at most, then the total', () => {
    const t = terminal();
    t.terminal.diagnostics(many(23));
    expect(t.err).toHaveLength(21);
    expect(t.err[19]).toBe('error E_X number 20\n');
    expect(t.err[20]).toMatch(/^23 problems in all/);
  });
  it('twenty need no total', () => {
    const t = terminal();
    t.terminal.diagnostics(many(20));
    expect(t.err).toHaveLength(20);
  });
  it('are one physical line each in a pipe, wrapped with a hang on a terminal', () => {
    const text = `E_X ${'word '.repeat(40).trim()}`;
    const pipe = terminal();
    pipe.terminal.diagnostics([{ severity: 'warning', text }]);
    expect(pipe.text().err).toBe(`warning ${text}\n`);
    const there = terminal({ errTty: true, color: 'never' });
    there.terminal.diagnostics([{ severity: 'warning', text }]);
    const lines = there.text().err.trimEnd().split('\n');
    expect(lines.length).toBe(3);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ {4}word/);
  });
  it('stay when quiet', () => {
    const t = terminal({ quiet: true });
    t.terminal.diagnostics(many(1));
    expect(t.err).toEqual(['error E_X number 1\n']);
  });
});

describe('detail', () => {
  it('is printed with --verbose only, and not on stdout', () => {
    const loud = terminal({ verbose: true });
    loud.terminal.detail('point 1/2');
    const plain = terminal();
    plain.terminal.detail('point 1/2');
    expect([loud.text(), plain.text()]).toEqual([
      { out: '', err: 'point 1/2\n' },
      { out: '', err: '' },
    ]);
  });
});
