/**
 * O7: how well one can do without knowing the future. Keeping costs rent as long as it lasts, dropping costs the price of computing
 * again once; a pause is known only when it ends. Keeping until the rent paid equals the price costs at most twice what the future would
 * have told, and no deterministic rule does better; a random deadline of the right density costs e / (e - 1) of it on average, whatever
 * the pause. Source: retention specification 11, O7 (Karlin, Manasse, McGeoch, Owicki 1994).
 */
import { exp } from '../../control/math.ts';

/** Cost of a clairvoyant: the cheaper of keeping for the whole pause and dropping at once. In units of rent per time. */
export function clairvoyantCost(pause: number, price: number): number {
  return Math.min(pause, price);
}

/** Cost of keeping until `deadline`: rent for a shorter pause, else rent and price. */
export function deadlineCost(pause: number, deadline: number, price: number): number {
  return pause <= deadline ? pause : deadline + price;
}

/** Deadline of the best deterministic rule: rent paid = price. */
export function skiRentalDeadline(price: number): number {
  return price;
}

/** Mean cost of the random deadline with density e^(x / price) / (price (e - 1)) on [0, price]. */
export function randomisedCost(pause: number, price: number): number {
  const e = exp(1);
  return (Math.min(pause, price) * e) / (e - 1);
}
