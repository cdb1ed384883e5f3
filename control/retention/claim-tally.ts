/** What the control plane did to claims and levels before any was sent: a policy counts into the one of its env. */
export interface ClaimTally {
  /** Not sent at all: no budget, not the tenant's, no tier for it. */
  refused: number;
  /** Sent for fewer blocks, a shorter time or a lower level than was asked. */
  clipped: number;
}
