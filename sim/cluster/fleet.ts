/**
 * The modelled fleet: workers grouped into nodes that share host links. Everything here is data; the cluster builds the machines.
 * Source: engine specification 4.4, 12; experiments specification 1.4 (fleet.*).
 */
import type { RankFacts } from '../../control/ports.ts';
import type { LowerTier } from '../engine/lower-tiers.ts';
import type { StepObserver } from '../engine/step-observer.ts';
import type { StepTimer } from '../engine/step-timer.ts';
import type { EngineConfig } from '../engine/worker.ts';
import type { OnLook } from './occupancy.ts';
import type { ServiceLog } from './service-log.ts';

/** A tier below the host tier. A disk belongs to one worker, a remote store to all workers of a pool. */
export interface LowerTierSpec {
  readonly tier: LowerTier;
  readonly blocks: number;
  readonly write: 'writeBack' | 'writeThrough';
  readonly latencyMs: number;
  /** One way; of the disk, or of each GPU's way to the store. */
  readonly readBytesPerMs: number;
  readonly writeBytesPerMs: number;
  /** Of the store: all workers together, both ways. */
  readonly totalBytesPerMs: number;
}

/** One worker to build. */
export interface WorkerSpec {
  /** Canonical key `<workerId>/<dpRank>`. */
  readonly key: string;
  readonly pool: string;
  readonly node: number;
  readonly config: EngineConfig;
  /** Tiers below the host tier, fastest first; absent = none. */
  readonly lower?: readonly LowerTierSpec[];
  readonly facts: RankFacts;
  /** Steps one at a time (the oracle) or jumps from change to change. */
  readonly stepMode: 'jump' | 'reference';
  /** A timer of its own, since a timer holds the state of a run. */
  createTimer(): StepTimer;
  /** Delay between dispatch and the scheduler seeing a request (oReqMs), ms. */
  readonly requestMs: number;
  readonly usdPerGpuHour: number;
  readonly tdpW: number;
}

/** Host links of one node; null members = no lower tier in use. */
export interface NodeSpec {
  readonly gpus: number;
  readonly h2dBytesPerMs: number;
  readonly d2hBytesPerMs: number;
  /** Total of both directions of one GPU's link when both are busy. */
  readonly duplexBytesPerMs: number;
  /** All links of the node together, both directions. */
  readonly dramBytesPerMs: number;
}

export interface FleetSpec {
  readonly workers: readonly WorkerSpec[];
  readonly nodes: readonly NodeSpec[];
  /** Writes down what the workers serve; absent = nobody listens. */
  readonly log?: ServiceLog;
  /** Hears why requests wait and what steps compute, for `kvcast explain`; absent = nobody listens. */
  readonly observer?: StepObserver;
  /** Hears what occupancy metrics are averages of; absent = nobody listens. */
  readonly onLook?: OnLook;
}

/** {@link FaultSpec.worker} of a fault that hits whichever worker holds the most KV blocks when it begins. */
export const BUSIEST = -1;

/** A fault to inject. */
export interface FaultSpec {
  readonly atMs: number;
  readonly kind: 'crash' | 'drain' | 'slow';
  /** Rank, or {@link BUSIEST}. */
  readonly worker: number;
  /** How long it lasts; a crashed worker restarts cold afterwards. */
  readonly forMs: number;
  /** kind slow: step time factor. */
  readonly factor: number;
}

/** Delays between the parts, ms. */
export interface NetworkSpec {
  /** Token or message between worker and control plane or client. */
  readonly netMs: number;
  /** From the publication of KV events to their application in the router's index. */
  readonly indexAgeMs: number;
  /** Period of metric scrapes. */
  readonly metricsAgeMs: number;
  /** Until a crash is noticed. */
  readonly detectMs: number;
}
