/** The recorded tables as CSV (RFC 4180): one row per session or request. Times stay exact. Source: experiments specification 9.4. */
import type { ClusterRun } from '../cluster/cluster-spec.ts';
import { TURN_CLASSES } from '../workload/workload.ts';

const SESSION_HEAD = 'replication,session,turns,startMs,endMs,activeMs,slowdown,status,promptTokens,outputTokens';
const REQUEST_HEAD =
  'replication,session,turn,class,worker,arrivalMs,dispatchMs,admitMs,firstTokenMs,lastTokenMs,promptTokens,outputTokens,hitHbm,hitHost,recomputedAvoidable,preemptions,attempts,status';
const TURN_WORDS = ['none', 'open', 'finished', 'rejected', 'timedOut', 'failed', 'abandoned', 'censored'] as const;
const PLAY_WORDS = ['open', 'completed', 'failed', 'censored', 'rejected', 'abandoned'] as const;

/** Sessions in order of their ids. */
export function sessionsCsv(replication: number, run: ClusterRun): string {
  const { plays, turns, workload } = run;
  const counts = new Int32Array(plays.count);
  const prompts = new Float64Array(plays.count);
  const outputs = new Float64Array(plays.count);
  const { turn, promptTokens, outputTokens } = turns;
  for (let i = 0; i < turn.length; i++) {
    const play = workload.turns.play(turn[i]!);
    counts[play]!++;
    prompts[play]! += promptTokens[i]!;
    outputs[play]! += outputTokens[i]!;
  }
  const rows = [SESSION_HEAD];
  for (let p = 0; p < plays.count; p++) {
    const slowdown = plays.activeMs[p]! / plays.unloadedMs[p]!;
    rows.push(
      [
        replication,
        workload.playName(p),
        counts[p],
        num(plays.startMs[p]!),
        num(plays.endMs[p]!),
        num(plays.activeMs[p]!),
        num(slowdown),
        PLAY_WORDS[plays.status[p]!],
        prompts[p],
        outputs[p],
      ].join(','),
    );
  }
  return `${rows.join('\n')}\n`;
}

/** Requests in order of their ids. */
export function requestsCsv(replication: number, run: ClusterRun): string {
  const { turns: t, workload } = run;
  const rows = [REQUEST_HEAD];
  for (let i = 0; i < t.count; i++) {
    const times = [t.arrivalMs[i]!, t.dispatchMs[i]!, t.admitMs[i]!, t.firstTokenMs[i]!, t.lastTokenMs[i]!].map(num);
    const w = workload.turns;
    const turn = t.turn[i]!;
    rows.push(
      [
        replication,
        workload.playName(w.play(turn)),
        workload.turnName(turn),
        TURN_CLASSES[w.turnClass(turn)],
        t.worker[i],
        ...times,
        t.promptTokens[i],
        t.outputTokens[i],
        t.hitHbmTokens[i],
        t.hitHostTokens[i],
        t.avoidableTokens[i],
        t.preemptions[i],
        t.attempts[i],
        TURN_WORDS[t.status[i]!],
      ].join(','),
    );
  }
  return `${rows.join('\n')}\n`;
}

function num(value: number): string {
  return Number.isNaN(value) ? '' : String(value);
}
