/** Sessions in the text of `explain`: the worst ones with what cost them most, one of them turn by turn, each with cause and decision. */
import type { CostlyEvent, SessionTurn, TurnFate, WorstSession } from '../../sim/experiment/explain-result.ts';
import { fixed, thousands } from './numbers.ts';
import type { Paint } from './paint.ts';
import { type Cell, clip, table, wrap } from './table.ts';

const COLUMNS = 100;
const NAME = 24;
/** Turns of one session that are printed; the document has all. */
const MOST_TURNS = 40;
/** Causes of a turn that are printed; the document has all. */
const MOST_CAUSES = 2;

const RIGHT = { align: 'right' as const };
const LEFT = { align: 'left' as const };

/** A table of sessions and, below, the costliest events of the first one. No lines for no session. */
export function worstSessions(title: string, list: readonly WorstSession[], paint: Paint): string[] {
  const [worst] = list;
  if (worst === undefined) return [];
  const heads = [title, 'rep', 'turns', 'slowdown', 'before', 'active, s', 'before', 'mostly'].map(dim);
  const body = list.map((s) => [
    `  ${clip(s.session, NAME)}`,
    String(s.replication),
    thousands(s.turns),
    fixed(s.slowdown, 2),
    s.reference === undefined ? '' : fixed(s.reference.slowdown, 2),
    fixed(s.activeTime, 1),
    s.reference === undefined ? '' : fixed(s.reference.activeTime, 1),
    largest(s.components),
  ]);
  const columns = [{ ...LEFT, maxWidth: NAME + 2 }, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, LEFT];
  return [
    ...['', ...table(columns, [heads, ...body], paint)],
    `  costliest in ${worst.session}, replication ${worst.replication}:`,
    ...worst.costliest.flatMap((event) => paragraph(eventText(event), 4)),
  ];
}

/** A session turn by turn: time and largest components, below them what was missed and why the turn went where it went. */
export function sessionTurns(list: readonly SessionTurn[], paint: Paint): string[] {
  if (list.length === 0) return [];
  const shown = list.slice(0, MOST_TURNS);
  const body = shown.map((t) => {
    const parts = Object.entries(t.components).sort((a, b) => b[1]! - a[1]!);
    return [
      `  ${clip(t.turn, NAME)}`,
      String(t.replication),
      fixed(t.value, 3),
      t.reference === undefined ? '' : fixed(t.reference, 3),
      parts.slice(0, 2).map(([name, s]) => `${name} ${fixed(s!, 3)}`),
    ].flat(1);
  });
  const heads = ['Turns of the session', 'rep', 's', 'before', 'largest components, s'].map(dim);
  const [head, ...rows] = table([{ ...LEFT, maxWidth: NAME + 2 }, RIGHT, RIGHT, RIGHT, LEFT, LEFT], [heads, ...body], paint);
  const lines = rows.flatMap((row, i) => [row, ...paragraph(fateText(shown[i]!), 4).map((line) => paint(line, 'dim'))]);
  const more = list.length > MOST_TURNS ? [`  ${list.length - MOST_TURNS} more turns: --json has them all`] : [];
  return ['', head!, ...lines, ...more];
}

function eventText(event: CostlyEvent): string {
  return `${event.component} ${fixed(event.time, 2)} s in ${event.turn}: ${fateText(event)}${ratedText(event)}`;
}

/** `missed 40,960 routed_elsewhere, 128 fresh of 45,000 tokens; to main/0, RULE:cost TIE(3)` */
function fateText({ promptTokens, missed, decision }: TurnFate): string {
  const named = missed.slice(0, MOST_CAUSES).map(({ cause, tokens }) => `${thousands(tokens)} ${cause}`);
  const rest = missed.slice(MOST_CAUSES).reduce((sum, { tokens }) => sum + tokens, 0);
  const misses = [...named, ...(rest > 0 ? [`${thousands(rest)} other`] : [])].join(', ');
  const what = misses === '' ? `hit all ${thousands(promptTokens)} tokens` : `missed ${misses} of ${thousands(promptTokens)} tokens`;
  if (decision === undefined) return what;
  const waited = decision.wait > 0 ? ` after ${fixed(decision.wait, 2)} s` : '';
  return `${what}; to ${decision.worker}${waited}, ${decision.reasons.join(' ')}`;
}

/** The score table; nothing where it tells nobody apart. */
function ratedText({ decision }: TurnFate): string {
  const [chosen, ...others] = decision?.scores ?? [];
  if (chosen === undefined || others.every((other) => other.score === chosen.score)) return '';
  const rated = [chosen, ...others].map(
    ({ worker, score, cachedTokens }) => `${worker} ${Number(score.toPrecision(4))} (${thousands(cachedTokens)} cached)`,
  );
  return `; scores ${rated.join(', ')}`;
}

function paragraph(text: string, indent: number): string[] {
  return wrap(text, COLUMNS - indent, 2).map((line) => ' '.repeat(indent) + line);
}

/** The component with the most time that is not the session's own decoding. */
function largest(components: Readonly<Partial<Record<string, number>>>): string {
  const rest = Object.entries(components).filter(([name]) => name !== 'decode.own');
  const [first] = rest.sort((a, b) => b[1]! - a[1]!);
  return first === undefined ? '' : first[0];
}

function dim(text: string): Cell {
  return { text, tone: 'dim' };
}
