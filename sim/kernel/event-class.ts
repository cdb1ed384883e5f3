/**
 * Order of effects at one timestamp: the class table of the whole simulation (engine specification 1). Smaller first; inside a
 * class by entity id; never by insertion.
 */
export const EVENT_CLASS = {
  /** Step completion of a worker: token append, stop test, frees, event publication. */
  stepEnd: 1,
  /** Transfer completion. */
  transfer: 2,
  /** Crash, drain, restart, slow-down. */
  lifecycle: 3,
  /** Messages to the control plane, its timers, and the actions they cause. */
  control: 4,
  /** Aborts and time-outs of clients. */
  abort: 5,
  /** A turn reaches the gateway, is routed and booked. */
  arrival: 6,
  /** A dispatched request reaches its worker. */
  submit: 7,
  /** `schedule()` of the next step. */
  schedule: 8,
  /** Expiry of TTLs, leases, claims. */
  expiry: 9,
  /** Samples, snapshots, end of the run. */
  observe: 10,
} as const;

export type EventClass = (typeof EVENT_CLASS)[keyof typeof EVENT_CLASS];
