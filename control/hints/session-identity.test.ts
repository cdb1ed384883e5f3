import { describe, expect, it } from 'vitest';
import { type Identity, sessionIdentity } from './session-identity.ts';
import { SessionTable } from './session-table.ts';

const of = (headers: Record<string, string>, body?: unknown): Identity => sessionIdentity(Object.entries(headers), body).identity;

describe('session identity', () => {
  it('gives the cases of router specification E13', () => {
    const claude = { 'x-claude-code-session-id': 'S', 'x-claude-code-agent-id': 'A' };
    expect(of(claude)).toMatchObject({ sessionId: 'A', parentSessionId: 'S', programId: 'S', family: 'claude-code' });
    const nested = { ...claude, 'x-claude-code-parent-agent-id': 'P' };
    expect(of(nested)).toMatchObject({ sessionId: 'A', parentSessionId: 'P', programId: 'S' });
    const dynamo = of({ ...nested, 'x-dynamo-session-id': 'D' });
    expect(dynamo).toMatchObject({ sessionId: 'D', family: 'dynamo' });
    expect(dynamo.parentSessionId).toBeUndefined();
    expect(dynamo.programId).toBeUndefined();
    expect(of({ session_id: 'c1' })).toMatchObject({ sessionId: 'c1', family: 'codex' });
    expect(of({ session_id: 'x'.repeat(257) }).sessionId).toBeUndefined();
    expect(of({ session_id: 'x'.repeat(256) }).sessionId).toHaveLength(256);
  });

  it('reads every family', () => {
    expect(of({ 'X-Claude-Code-Session-Id': ' S ' })).toMatchObject({
      sessionId: 'S',
      programId: 'S',
      family: 'claude-code',
      strength: 'strong',
    });
    expect(of({ 'x-session-affinity': 'a', 'x-session-id': 'b', 'x-parent-session-id': 'p' })).toMatchObject({
      sessionId: 'a',
      parentSessionId: 'p',
      family: 'opencode',
    });
    expect(of({ 'session-id': 'n', session_id: 'legacy' })).toMatchObject({ sessionId: 'n', family: 'codex' });
    expect(of({ 'x-smg-routing-key': 'k' })).toMatchObject({ sessionId: 'k', routingKey: 'k', family: 'gateway' });
    expect(of({}, { nvext: { session_control: { session_id: 's', action: 'close' } } })).toMatchObject({
      sessionId: 's',
      sessionFinal: true,
      family: 'nvext',
    });
    expect(of({}, { nvext: { agent_context: { trajectory_id: 't', parent_trajectory_id: 'p', trajectory_final: true } } })).toMatchObject({
      sessionId: 't',
      parentSessionId: 'p',
      sessionFinal: true,
    });
    expect(of({}, { prompt_cache_key: 'w' })).toMatchObject({ sessionId: 'w', family: 'body', strength: 'weak' });
    expect(of({}, { metadata: { user_id: 'u' } })).toMatchObject({ sessionId: 'u', family: 'body' });
    expect(of({})).toEqual({ sessionFinal: false, family: 'none', strength: 'weak' });
  });

  it('treats a family with an invalid id as absent and says so', () => {
    const { identity, notes } = sessionIdentity(
      [
        ['x-dynamo-session-id', 'two words'],
        ['session-id', 'ok'],
      ],
      undefined,
    );
    expect(identity).toMatchObject({ sessionId: 'ok', family: 'codex' });
    expect(notes.invalid).toEqual(['dynamo']);
    const bad = (id: unknown): unknown => of({}, { nvext: { session_control: { session_id: id } } }).sessionId;
    expect(['', ' ', 'é', 'a\tb', 7, null, {}].map(bad)).toEqual(Array(7).fill(undefined));
  });

  it('refuses a repeated header with differing values', () => {
    const repeated = (b: string): unknown =>
      sessionIdentity(
        [
          ['Session-Id', 'a'],
          ['session-id', b],
        ],
        undefined,
      ).identity.sessionId;
    expect(repeated('a')).toBe('a');
    expect(repeated('b')).toBeUndefined();
  });

  it('notes families that disagree, weak ones aside', () => {
    const conflict = (headers: Record<string, string>, body?: unknown): boolean =>
      sessionIdentity(Object.entries(headers), body).notes.conflict;
    expect(conflict({ 'x-dynamo-session-id': 'D', 'session-id': 'E' })).toBe(true);
    expect(conflict({ 'x-dynamo-session-id': 'D', 'session-id': 'D' })).toBe(false);
    expect(conflict({ 'x-dynamo-session-id': 'D' }, { conversation_id: 'other' })).toBe(false);
  });

  it('reads the end of a session', () => {
    const final = (value: string): boolean => of({ 'x-dynamo-session-id': 'D', 'x-dynamo-session-final': value }).sessionFinal;
    expect(['1', 'true', 'YES', '0', 'false', 'no', '', 'maybe'].map(final)).toEqual([true, true, true, false, false, false, false, false]);
    const { notes } = sessionIdentity(
      [
        ['x-dynamo-session-id', 'D'],
        ['x-dynamo-session-final', 'maybe'],
      ],
      undefined,
    );
    expect(notes.drops).toEqual([{ field: 'session_final', reason: 'unknown_value' }]);
  });
});

describe('SessionTable', () => {
  const id = (sessionId: string, parentSessionId?: string): Identity => ({
    sessionId,
    ...(parentSessionId === undefined ? {} : { parentSessionId }),
    sessionFinal: false,
    family: 'dynamo',
    strength: 'strong',
  });

  it('finds the root of the known parents within one tenant and model', () => {
    const table = new SessionTable();
    for (const [s, p] of [
      ['b', 'a'],
      ['c', 'b'],
      ['d', 'c'],
    ] as const)
      table.note('t', 'm', id(s, p));
    expect(table.flow('t', 'm', id('d'))).toBe('a');
    expect(table.flow('u', 'm', id('d'))).toBe('d');
    expect(table.flow('t', 'm', { ...id('d'), programId: 'P' })).toBe('P');
    expect(table.flow('t', 'm', { ...id('d'), programId: 'P', fairnessId: 'F' })).toBe('F');
    expect(table.flow('t', 'm', { sessionFinal: false, family: 'none', strength: 'weak' })).toBe('t');
    expect(table.flow('', 'm', { sessionFinal: false, family: 'none', strength: 'weak' })).toBe('default');
  });

  it('never binds session-1 to session-12', () => {
    const table = new SessionTable();
    table.note('t', 'm', id('session-12', 'root-12'));
    expect(table.flow('t', 'm', id('session-1'))).toBe('session-1');
  });

  it('stops in loops and after 16 hops', () => {
    const table = new SessionTable();
    table.note('t', 'm', id('x', 'y'));
    table.note('t', 'm', id('y', 'x'));
    expect(['x', 'y']).toContain(table.flow('t', 'm', id('x')));
    for (let i = 0; i < 40; i++) table.note('t', 'm', id(`n${i}`, `n${i + 1}`));
    expect(table.flow('t', 'm', id('n0'))).toBe('n16');
  });

  it('forgets the least recently used session at its bound', () => {
    const table = new SessionTable(2);
    table.note('t', 'm', id('a', 'root'));
    table.note('t', 'm', id('b', 'root'));
    table.note('t', 'm', id('a', 'root'));
    table.note('t', 'm', id('c', 'root'));
    expect(table.size).toBe(2);
    expect(table.flow('t', 'm', id('b'))).toBe('b');
    expect(table.flow('t', 'm', id('a'))).toBe('root');
  });
});
