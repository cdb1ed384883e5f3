/**
 * Runs a policy over columns of features: gate, filter, combine, pick. It keeps no state between decisions but the round-robin
 * counter, and reads features only through a {@link FeatureSource}, so a recorded decision re-executes on the same code.
 * Source: router specification 4.2, 4.3, 4.5 - 4.7.
 */
import { log } from '../math.ts';
import { draw, mixTie, requestHash } from './keyed-draw.ts';
import type { Combine, FeatureRef, Filter, Gate, LexTerm, Policy, Term } from './policy.ts';
import { SoftmaxPicker } from './softmax.ts';

/** Where raw feature values come from. */
export interface FeatureSource {
  /** Writes the raw value of each of `n` rows; `inner` is the column of the inner feature of `name(inner)`. */
  fill(feature: FeatureRef, n: number, out: Float64Array, inner: Float64Array): void;
}

/** Identity of the rows of one decision. */
export interface DecisionKeys {
  readonly id: string;
  readonly attemptNumber: number;
  /** Rank of each row, and the mixed key hash of each rank. */
  readonly rows: Int32Array;
  readonly hash: Uint32Array;
  /** Draws of a recorded decision, instead of the keyed ones. */
  readonly draws?: readonly number[];
  /** Factor of each row's cost (preferred taints); absent or null = 1. */
  readonly factors?: Float64Array | null;
}

const EMPTY = new Float64Array(0);
const NO_FEATURES: FeatureSource = { fill: () => {} };

/** One policy with its scratch columns. */
export class ScoringEngine {
  readonly policy: Policy;
  readonly seed: number;
  /** Rule that decided, index into the policy's rules; -1 if none did. */
  rule = -1;
  /** Rows that shared the best score. */
  tieSize = 0;
  /** Draws of the last decision, `drawCount` of them. */
  readonly draws: number[] = [];
  drawCount = 0;
  /** Probability of the chosen row under softmax, else 1. */
  probability = 1;
  /** Scores that were not finite, all decisions. */
  nonFinite = 0;
  /** Round-robin counter; moved by {@link booked} only. */
  turn = 0;
  /** Score of each row that reached the combiner. */
  scores = new Float64Array(16);
  /** 1 for rows in the tie set. */
  inTie = new Uint8Array(16);
  /** Rows that passed the filters of the deciding rule, `selectedCount` of them. */
  selected = new Int32Array(16);
  selectedCount = 0;
  readonly #columns: Float64Array[];
  readonly #stamps: Int32Array;
  #stamp = 0;
  #source: FeatureSource | null = null;
  #n = 0;
  #spare = new Int32Array(16);
  #least = 0;
  #most = 0;
  #weights = new Float64Array(16);
  readonly #picker = new SoftmaxPicker();

  constructor(policy: Policy, seed: number) {
    this.policy = policy;
    this.seed = seed;
    this.#columns = policy.features.map(() => new Float64Array(16));
    this.#stamps = new Int32Array(policy.features.length);
  }

  /**
   * Chooses among `n` rows in canonical order. Returns the row, or -1 if no rule could decide. No side effect but scratch and
   * the counter of non-finite scores. Cost O(rows x features of the rules tried).
   */
  decide(source: FeatureSource, n: number, keys: DecisionKeys): number {
    this.#begin(source, n);
    const { rules } = this.policy;
    for (let r = 0; r < rules.length; r++) {
      const rule = rules[r]!;
      if (!this.#passes(rule.gate)) continue;
      this.#selectAll();
      let refused = false;
      let next = false;
      for (const filter of rule.filters) {
        const kept = this.#filter(filter, keys);
        if (kept > 0) this.#take(kept);
        else if (filter.onEmpty === 'nextRule') next = true;
        else if (filter.onEmpty === 'none') refused = true;
        if (next || refused) break;
      }
      if (next) continue;
      this.rule = r;
      if (refused) return -1;
      return this.#pickRow(rule.combine, rule.pick.kind, rule.pick.temperature, keys);
    }
    return -1;
  }

  /** A decision without the policy (a pin): no rule, no ties, no draws. */
  skip(): void {
    this.#begin(NO_FEATURES, 0);
  }

  /** The decision was booked: the only place where a policy's own state moves. */
  booked(): void {
    this.turn++;
  }

  /** Raw column of a feature in the last decision, computed now if no rule had asked for it. */
  raw(feature: number): Float64Array {
    return this.#column(feature);
  }

  /** Whether the last decision read a feature. */
  wasRead(feature: number): boolean {
    return this.#stamps[feature] === this.#stamp;
  }

  #begin(source: FeatureSource, n: number): void {
    if (n > this.scores.length) this.#widen(n);
    this.#source = source;
    this.#n = n;
    this.#stamp++;
    this.rule = -1;
    this.tieSize = 0;
    this.drawCount = 0;
    this.probability = 1;
    this.selectedCount = 0;
  }

  #column(index: number): Float64Array {
    const column = this.#columns[index]!;
    if (this.#stamps[index] === this.#stamp) return column;
    const feature = this.policy.features[index]!;
    this.#source!.fill(feature, this.#n, column, feature.inner < 0 ? EMPTY : this.#column(feature.inner));
    this.#stamps[index] = this.#stamp;
    return column;
  }

  #passes(gate: Gate): boolean {
    switch (gate.kind) {
      case 'always':
      case 'cold':
        return true;
      case 'not':
        return !this.#passes(gate.gate);
      case 'and':
        return gate.gates.every((inner) => this.#passes(inner));
      case 'or':
        return gate.gates.some((inner) => this.#passes(inner));
      default:
    }
    const column = this.#column(gate.column);
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.#n; i++) {
      const x = column[i]!;
      if (x < least) least = x;
      if (x > most) most = x;
    }
    if (gate.kind === 'imbalance') return most - least > gate.abs && most > gate.rel * least;
    if (gate.kind === 'spread') return most - least > gate.above;
    if (gate.kind === 'max') return most > gate.above;
    return least > 0;
  }

  #selectAll(): void {
    const selected = this.selected;
    for (let i = 0; i < this.#n; i++) selected[i] = i;
    this.selectedCount = this.#n;
  }

  /** The first `n` rows of the spare array become the selection. */
  #take(n: number): void {
    const spare = this.selected;
    this.selected = this.#spare;
    this.#spare = spare;
    this.selectedCount = n;
  }

  /** Writes the rows of the selection that pass into the spare array; returns how many. */
  #filter(filter: Filter, keys: DecisionKeys): number {
    switch (filter.kind) {
      case 'sample':
        return this.#sample(filter.k, keys);
      case 'stickyTtft':
        return this.#stickyTtft(filter.column, filter.pending, filter);
      case 'atLeast':
        return this.#keepBetween(filter.column, filter.x, Number.POSITIVE_INFINITY, filter.strict);
      case 'atMost':
        return this.#keepBetween(filter.column, Number.NEGATIVE_INFINITY, filter.x, false);
      default:
    }
    const column = this.#column(filter.column);
    const { selected, selectedCount } = this;
    let sum = 0;
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < selectedCount; i++) {
      const x = column[selected[i]!]!;
      sum += x;
      if (x < least) least = x;
      if (x > most) most = x;
    }
    if (filter.kind === 'least') return this.#keepBetween(filter.column, least, least, false);
    if (filter.kind === 'nearMin') return this.#keepBetween(filter.column, least, least + filter.x, false);
    if (filter.kind === 'most') return this.#keepBetween(filter.column, most, most, false);
    if (filter.kind === 'allFresh') return least > 0 ? this.#keepBetween(filter.column, least, most, false) : 0;
    if (filter.kind === 'boundedLoad') {
      return this.#keepBetween(filter.column, Number.NEGATIVE_INFINITY, (filter.x * (sum + 1)) / selectedCount, false);
    }
    if (filter.kind !== 'meanPlusSigma') throw new Error(`no such filter: ${filter.kind}`);
    const mean = sum / selectedCount;
    let squares = 0;
    for (let i = 0; i < selectedCount; i++) {
      const off = column[selected[i]!]! - mean;
      squares += off * off;
    }
    const deviation = selectedCount > 1 ? Math.sqrt(squares / (selectedCount - 1)) : 0;
    return this.#keepBetween(filter.column, Number.NEGATIVE_INFINITY, mean + filter.x * deviation, false);
  }

  #keepBetween(feature: number, low: number, high: number, strict: boolean): number {
    const column = this.#column(feature);
    const { selected, selectedCount } = this;
    const spare = this.#spare;
    let kept = 0;
    for (let i = 0; i < selectedCount; i++) {
      const row = selected[i]!;
      const x = column[row]!;
      if (x >= low && x <= high && !(strict && x === low)) spare[kept++] = row;
    }
    return kept;
  }

  /** `k` distinct uniform rows: draw j takes one of the rows not yet taken, in canonical order. */
  #sample(k: number, keys: DecisionKeys): number {
    const { selected, selectedCount } = this;
    const take = Math.min(k, selectedCount);
    const spare = this.#spare;
    for (let j = 0; j < take; j++) {
      let at = Math.floor(this.#draw(keys) * (selectedCount - j));
      const row = selected[at]!;
      for (; at + 1 < selectedCount - j; at++) selected[at] = selected[at + 1]!;
      spare[j] = row;
    }
    // Back to canonical order, so that ties and draws mean the same whoever was drawn first.
    spare.subarray(0, take).sort();
    return take;
  }

  /** Ranks with a high match ratio, unless the best of them would make the request wait too long (router specification 5.2). */
  #stickyTtft(ratioColumn: number, pendingColumn: number, filter: Extract<Filter, { kind: 'stickyTtft' }>): number {
    const ratio = this.#column(ratioColumn);
    const pending = this.#column(pendingColumn);
    const { selected, selectedCount } = this;
    const spare = this.#spare;
    if (selectedCount < 2 || filter.maxPenaltyMs <= 0) return 0;
    let kept = 0;
    let sticky = Number.POSITIVE_INFINITY;
    let other = Number.POSITIVE_INFINITY;
    for (let i = 0; i < selectedCount; i++) {
      const row = selected[i]!;
      if (ratio[row]! >= filter.ratio) {
        spare[kept++] = row;
        sticky = Math.min(sticky, pending[row]!);
      } else other = Math.min(other, pending[row]!);
    }
    if (kept === 0 || kept === selectedCount) return kept;
    const penaltyMs = ((sticky - other) / filter.peakTokPerSec) * 1000;
    return penaltyMs > filter.maxPenaltyMs ? 0 : kept;
  }

  #pickRow(combine: Combine, pick: string, temperature: number, keys: DecisionKeys): number {
    const { selected, selectedCount } = this;
    if (selectedCount === 0) return -1;
    if (pick === 'uniform') return selected[Math.floor(this.#draw(keys) * selectedCount)]!;
    if (pick === 'roundRobin') {
      const turn = keys.draws === undefined ? this.turn : keys.draws[0]!;
      this.draws[this.drawCount++] = turn;
      return selected[turn % selectedCount]!;
    }
    if (combine.kind === 'none') return this.#breakTie(keys);
    if (combine.kind === 'lex') return this.#lexicographic(combine.terms, keys);
    const sign = this.#score(combine);
    if (combine.kind === 'cost' && keys.factors != null) {
      for (let i = 0; i < selectedCount; i++) this.scores[selected[i]!]! *= keys.factors[selected[i]!]!;
    }
    if (pick === 'softmax') return this.#softmax(sign, temperature, keys);
    if (pick === 'weightedRandom') return this.#weightedRandom(keys);
    return this.#best(sign, keys);
  }

  /** Fills the scores of the selection. Returns 1 if less is better, -1 if more is. */
  #score(combine: Exclude<Combine, { kind: 'lex' | 'none' }>): number {
    const { scores, selected, selectedCount } = this;
    if (combine.kind === 'product') {
      for (let i = 0; i < selectedCount; i++) scores[selected[i]!] = 1;
      for (const { column, offset } of combine.terms) {
        const x = this.#column(column);
        for (let i = 0; i < selectedCount; i++) scores[selected[i]!]! *= x[selected[i]!]! + offset;
      }
      return 1;
    }
    for (let t = 0; t < combine.terms.length; t++) {
      const term = combine.terms[t]!;
      const x = this.#column(term.column);
      if (term.norm === 'raw' && !combine.clamp) {
        const weight = term.weight;
        if (t === 0) for (let i = 0; i < selectedCount; i++) scores[selected[i]!] = weight * x[selected[i]!]!;
        else for (let i = 0; i < selectedCount; i++) scores[selected[i]!]! += weight * x[selected[i]!]!;
        continue;
      }
      this.#measure(x);
      for (let i = 0; i < selectedCount; i++) {
        const row = selected[i]!;
        const part = term.weight * normalised(term, x[row]!, this.#least, this.#most, combine.clamp);
        scores[row] = t === 0 ? part : scores[row]! + part;
      }
    }
    return combine.kind === 'cost' ? 1 : -1;
  }

  /** Sets least and most of a column over the selection. */
  #measure(x: Float64Array): void {
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.selectedCount; i++) {
      const value = x[this.selected[i]!]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    this.#least = least;
    this.#most = most;
  }

  /** Contribution of one term to the score of a row in the last decision. */
  contribution(combine: Combine, term: number, row: number): { weight: number; contribution: number } {
    if (combine.kind === 'product') {
      const { column, offset } = combine.terms[term]!;
      return { weight: offset, contribution: this.#column(column)[row]! + offset };
    }
    if (combine.kind === 'lex') {
      const first = term === 0 ? 1 : 0;
      return { weight: first, contribution: first * this.#column(combine.terms[term]!.column)[row]! };
    }
    if (combine.kind === 'none') return { weight: 0, contribution: 0 };
    const entry = combine.terms[term]!;
    const x = this.#column(entry.column);
    this.#measure(x);
    return { weight: entry.weight, contribution: entry.weight * normalised(entry, x[row]!, this.#least, this.#most, combine.clamp) };
  }

  /** Best finite score; the tie set is within eps * max(1, |best|). */
  #best(sign: number, keys: DecisionKeys): number {
    const { scores, selected, selectedCount } = this;
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < selectedCount; i++) {
      const x = sign * scores[selected[i]!]!;
      if (x < best) best = x;
    }
    if (!Number.isFinite(best)) return this.#bestOfFinite(sign, keys);
    const slack = this.policy.ties.eps * Math.max(1, Math.abs(best));
    return this.#breakTieWithin(sign, best, slack, keys);
  }

  /** Rows whose score is not finite come last; without any finite one the least requests in flight decide. */
  #bestOfFinite(sign: number, keys: DecisionKeys): number {
    const { scores, selected, selectedCount } = this;
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < selectedCount; i++) {
      const x = sign * scores[selected[i]!]!;
      if (!Number.isFinite(x)) this.nonFinite++;
      else if (x < best) best = x;
    }
    if (!Number.isFinite(best)) return this.#lexicographic([{ column: this.policy.fallback, direction: 'min' }], keys);
    return this.#breakTieWithin(sign, best, this.policy.ties.eps * Math.max(1, Math.abs(best)), keys);
  }

  #breakTieWithin(sign: number, best: number, slack: number, keys: DecisionKeys): number {
    const { scores, selected, selectedCount } = this;
    const spare = this.#spare;
    let size = 0;
    for (let i = 0; i < selectedCount; i++) {
      const row = selected[i]!;
      if (Math.abs(sign * scores[row]! - best) <= slack) spare[size++] = row;
    }
    return this.#settleTie(spare, size, keys);
  }

  #breakTie(keys: DecisionKeys): number {
    this.scores.fill(0, 0, this.#n);
    const spare = this.#spare;
    for (let i = 0; i < this.selectedCount; i++) spare[i] = this.selected[i]!;
    return this.#settleTie(spare, this.selectedCount, keys);
  }

  /** Criterion after criterion, each compared exactly. */
  #lexicographic(terms: readonly LexTerm[], keys: DecisionKeys): number {
    const spare = this.#spare;
    for (let i = 0; i < this.selectedCount; i++) spare[i] = this.selected[i]!;
    const first = this.#column(terms[0]!.column);
    for (let i = 0; i < this.selectedCount; i++) this.scores[spare[i]!] = first[spare[i]!]!;
    return this.#settleTie(spare, this.#narrow(terms, spare, this.selectedCount), keys);
  }

  /** Keeps the best of the first `size` rows by each criterion in turn; returns how many are left, moved to the front. */
  #narrow(terms: readonly LexTerm[], rows: Int32Array, size: number): number {
    for (const { column, direction } of terms) {
      if (size <= 1) break;
      const x = this.#column(column);
      const sign = direction === 'min' ? 1 : -1;
      let best = Number.POSITIVE_INFINITY;
      let kept = 0;
      for (let i = 0; i < size; i++) {
        const value = sign * x[rows[i]!]!;
        if (value < best) {
          best = value;
          kept = 0;
        }
        if (value === best) rows[kept++] = rows[i]!;
      }
      size = kept;
    }
    return size;
  }

  #settleTie(rows: Int32Array, size: number, keys: DecisionKeys): number {
    this.tieSize = size;
    this.inTie.fill(0, 0, this.#n);
    for (let i = 0; i < size; i++) this.inTie[rows[i]!] = 1;
    size = this.#narrow(this.policy.rules[this.rule]!.tieBreak, rows, size);
    if (size <= 1) return size === 1 ? rows[0]! : -1;
    const { mode } = this.policy.ties;
    if (mode === 'lowest') return rows[0]!;
    if (mode === 'highest') return rows[size - 1]!;
    if (mode === 'random') return rows[Math.floor(this.#draw(keys) * size)]!;
    const request = requestHash(this.seed, keys.id);
    let winner = rows[0]!;
    let most = -1;
    for (let i = 0; i < size; i++) {
      const key = mixTie(request, keys.hash[keys.rows[rows[i]!]!]!);
      if (key <= most) continue;
      most = key;
      winner = rows[i]!;
    }
    return winner;
  }

  /** Softmax of {@link SoftmaxPicker} over the selection, in canonical order. */
  #softmax(sign: number, temperature: number, keys: DecisionKeys): number {
    const { scores, selected, selectedCount } = this;
    const costs = this.#weights;
    for (let i = 0; i < selectedCount; i++) {
      const cost = sign * scores[selected[i]!]!;
      if (!Number.isFinite(cost)) return this.#best(sign, keys);
      costs[i] = cost;
    }
    const row = selected[this.#picker.choose(costs, selectedCount, temperature, this.#draw(keys))]!;
    this.probability = this.#picker.probability;
    this.tieSize = 1;
    this.inTie.fill(0, 0, this.#n);
    this.inTie[row] = 1;
    return row;
  }

  /** Largest U^(1/score), as log(U)/score; all scores <= 0: uniform. */
  #weightedRandom(keys: DecisionKeys): number {
    const { scores, selected, selectedCount } = this;
    let winner = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < selectedCount; i++) {
      const u = this.#draw(keys);
      const score = scores[selected[i]!]!;
      const key = score > 0 ? log(u) / score : Number.NEGATIVE_INFINITY;
      if (key > most) {
        most = key;
        winner = selected[i]!;
      }
    }
    if (winner < 0) winner = selected[Math.floor(this.#draw(keys) * selectedCount)]!;
    this.tieSize = 1;
    this.inTie.fill(0, 0, this.#n);
    this.inTie[winner] = 1;
    return winner;
  }

  #draw(keys: DecisionKeys): number {
    const k = this.drawCount++;
    const u = keys.draws === undefined ? draw(this.seed, keys.id, keys.attemptNumber, k) : keys.draws[k]!;
    this.draws[k] = u;
    return u;
  }

  #widen(rows: number): void {
    let size = this.scores.length;
    while (size < rows) size *= 2;
    for (let i = 0; i < this.#columns.length; i++) this.#columns[i] = new Float64Array(size);
    this.#stamps.fill(-1);
    this.scores = new Float64Array(size);
    this.inTie = new Uint8Array(size);
    this.selected = new Int32Array(size);
    this.#spare = new Int32Array(size);
    this.#weights = new Float64Array(size);
  }
}

/** Value of a `sum` term after its normaliser (router specification 4.5). */
function normalised(term: Term, x: number, least: number, most: number, clamp: boolean): number {
  let y = x;
  if (term.norm === 'minmax') y = most === least ? 1 : (x - least) / (most - least);
  else if (term.norm === 'minmaxInverse') y = most === least ? 1 : (most - x) / (most - least);
  else if (term.norm === 'inverse') y = 1 - x;
  else if (term.norm === 'scale') y = Math.min(1, Math.max(0, x / term.scale));
  else if (term.norm === 'inverseScale') y = 1 - Math.min(1, Math.max(0, x / term.scale));
  return clamp ? Math.min(1, Math.max(0, y)) : y;
}
