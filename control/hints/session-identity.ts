/** Who a request belongs to, from the headers and members that agents and gateways send (router specification 1.4). */
import { type HintDrop, members } from './hint-drop.ts';

export interface Identity {
  readonly sessionId?: string;
  readonly parentSessionId?: string;
  /** The client said that nothing follows. */
  readonly sessionFinal: boolean;
  /** The program that several sessions (agents) work for. */
  readonly programId?: string;
  readonly routingKey?: string;
  /** Fairness id given by the client; else {@link SessionTable.flow} derives one. */
  readonly fairnessId?: string;
  readonly family: IdentityFamily | 'none';
  /** `weak` ids are used for affinity only where the operator accepts them. */
  readonly strength: 'strong' | 'weak';
}

export type IdentityFamily = 'dynamo' | 'claude-code' | 'opencode' | 'codex' | 'gateway' | 'nvext' | 'body';

export interface IdentityNotes {
  readonly drops: readonly HintDrop[];
  /** Families whose id was not valid and which were treated as absent. */
  readonly invalid: readonly IdentityFamily[];
  /** A later family named another session. */
  readonly conflict: boolean;
}

/** Header fields in any order and case; a name may repeat. */
export type HeaderFields = Iterable<readonly [name: string, value: string]>;

interface Claimed {
  readonly family: IdentityFamily;
  readonly session: string | undefined;
  readonly parent?: string | undefined;
  readonly final?: unknown;
  readonly program?: string | undefined;
  readonly routingKey?: string | undefined;
}

/** A repeated header with differing values. No valid id contains a space. */
const AMBIGUOUS = ' ';

/** The first family that yields a valid id wins as a whole; families are never mixed. Never throws. */
export function sessionIdentity(headers: HeaderFields, body: unknown): { readonly identity: Identity; readonly notes: IdentityNotes } {
  const fields = headerMap(headers);
  const drops: HintDrop[] = [];
  const invalid: IdentityFamily[] = [];
  let winner: Claimed | undefined;
  let conflict = false;
  for (const claimed of families(fields, body)) {
    if (claimed.session === undefined) continue;
    if (!isValidId(claimed.session)) {
      invalid.push(claimed.family);
      continue;
    }
    if (winner === undefined) winner = claimed;
    else if (claimed.family !== 'body' && claimed.session !== winner.session) conflict = true;
  }
  const fairness = validOr(fields.get('x-llm-d-inference-fairness-id'), 'fairness_id', drops);
  const common = fairness === undefined ? {} : { fairnessId: fairness };
  if (winner === undefined) {
    return { identity: { ...common, sessionFinal: false, family: 'none', strength: 'weak' }, notes: { drops, invalid, conflict } };
  }
  const parent = validOr(winner.parent, 'parent_session_id', drops);
  const program = validOr(winner.program, 'program_id', drops);
  const identity: Identity = {
    ...common,
    sessionId: winner.session!,
    ...(parent === undefined ? {} : { parentSessionId: parent }),
    sessionFinal: isFinal(winner.final, drops),
    ...(program === undefined ? {} : { programId: program }),
    ...(winner.routingKey === undefined ? {} : { routingKey: winner.routingKey }),
    family: winner.family,
    strength: winner.family === 'body' ? 'weak' : 'strong',
  };
  return { identity, notes: { drops, invalid, conflict } };
}

/** Ids are 1..256 bytes of visible ASCII. Equality is equality of bytes, never of prefixes. */
export function isValidId(id: string): boolean {
  return id.length >= 1 && id.length <= 256 && /^[\x21-\x7e]+$/.test(id);
}

function families(header: ReadonlyMap<string, string>, body: unknown): readonly Claimed[] {
  const claudeSession = header.get('x-claude-code-session-id');
  const claudeAgent = header.get('x-claude-code-agent-id');
  const smg = header.get('x-smg-routing-key');
  const bodyFields = members(body);
  return [
    {
      family: 'dynamo',
      session: header.get('x-dynamo-session-id'),
      parent: header.get('x-dynamo-parent-session-id'),
      final: header.get('x-dynamo-session-final'),
    },
    {
      family: 'claude-code',
      session: claudeAgent ?? claudeSession,
      parent: claudeAgent === undefined ? undefined : (header.get('x-claude-code-parent-agent-id') ?? claudeSession),
      program: claudeSession,
    },
    {
      family: 'opencode',
      session: header.get('x-session-affinity') ?? header.get('x-session-id'),
      parent: header.get('x-parent-session-id'),
    },
    { family: 'codex', session: header.get('session-id') ?? header.get('session_id') },
    { family: 'gateway', session: smg, routingKey: smg },
    nvextFamily(members(bodyFields?.['nvext'])),
    {
      family: 'body',
      session:
        text(bodyFields?.['conversation_id']) ??
        text(bodyFields?.['prompt_cache_key']) ??
        text(members(bodyFields?.['metadata'])?.['user_id']),
    },
  ];
}

function nvextFamily(nvext: Readonly<Record<string, unknown>> | undefined): Claimed {
  const control = members(nvext?.['session_control']);
  const context = members(nvext?.['agent_context']);
  if (control?.['session_id'] !== undefined) {
    const final = control['action'] === 'close' ? true : control['session_final'];
    return { family: 'nvext', session: text(control['session_id']), parent: text(control['parent_session_id']), final };
  }
  if (context?.['session_id'] !== undefined) {
    return {
      family: 'nvext',
      session: text(context['session_id']),
      parent: text(context['parent_session_id']),
      final: context['session_final'],
    };
  }
  const session = text(context?.['trajectory_id']);
  return { family: 'nvext', session, parent: text(context?.['parent_trajectory_id']), final: context?.['trajectory_final'] };
}

function headerMap(headers: HeaderFields): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [name, raw] of headers) {
    const key = name.toLowerCase();
    const value = raw.trim();
    const known = map.get(key);
    map.set(key, known === undefined || known === value ? value : AMBIGUOUS);
  }
  return map;
}

/** Members of a body must be text to be ids; anything else is given, but not valid. */
function text(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value.trim() : '';
}

function validOr(id: string | undefined, field: string, drops: HintDrop[]): string | undefined {
  if (id === undefined) return undefined;
  if (isValidId(id)) return id;
  drops.push({ field, reason: 'unknown_value' });
  return undefined;
}

function isFinal(value: unknown, drops: HintDrop[]): boolean {
  if (value === undefined || value === null || value === false || value === '') return false;
  if (value === true) return true;
  const word = String(value).toLowerCase();
  if (word === '1' || word === 'true' || word === 'yes') return true;
  if (word !== '0' && word !== 'false' && word !== 'no') drops.push({ field: 'session_final', reason: 'unknown_value' });
  return false;
}
