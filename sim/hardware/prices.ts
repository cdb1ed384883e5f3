/** Default prices and power with their date; every one of them is overridable and printed as an assumption. */
import { findGpu, PRICES_AS_OF } from './gpus.ts';

/** A price that says where it comes from. */
export interface PriceQuote {
  readonly usdPerGpuHour: number;
  /** Public spread. */
  readonly lowUsd: number;
  readonly highUsd: number;
  /** `YYYY-MM`. */
  readonly asOf: string;
  readonly source: string;
}

/** Default price of a GPU; undefined for an unknown one. Source: performance-model specification 12. */
export function gpuPrice(gpu: string): PriceQuote | undefined {
  const price = findGpu(gpu)?.priceUsdPerGpuHour;
  if (price === undefined) return undefined;
  return { usdPerGpuHour: price.default, lowUsd: price.low, highUsd: price.high, asOf: PRICES_AS_OF, source: price.notes };
}

/** Whether a price list of month `asOf` is more than six months older than `today` (both `YYYY-MM`). */
export function priceIsStale(asOf: string, today: string): boolean {
  return monthIndex(today) - monthIndex(asOf) > 6;
}

/** Share of TDP drawn by an idle GPU. An assumption, always flagged (experiments specification 4). */
export const IDLE_POWER_SHARE = 0.2;

/** Energy of GPUs over a window, kWh: GPUs x hours x (idle + (TDP - idle) x utilisation) x PUE. */
export function energyKwh(options: {
  readonly gpuHours: number;
  readonly tdpW: number;
  readonly utilization: number;
  readonly pue: number;
}): number {
  const idleW = IDLE_POWER_SHARE * options.tdpW;
  return (options.gpuHours * (idleW + (options.tdpW - idleW) * options.utilization) * options.pue) / 1000;
}

function monthIndex(month: string): number {
  const [year, mon] = month.split('-');
  return Number(year) * 12 + Number(mon);
}
