/**
 * Prefixes that sessions share: tool definitions and system prompts as branches of the run's branch table that every play hangs its
 * own branches below. Which blocks are shared is an assumption (session-local ids prove nothing), so it is a level, never inferred.
 * Source: trace specification 7.3.
 */
import type { BranchId, BranchTable } from '../../control/blocks.ts';
import type { BlockRatio } from './block-size.ts';

export type SharingLevel = 'none' | 'tools' | 'tools+system' | 'fleet';

/** Leading part of an agent's first prompt that is shared: up to two consecutive branches. Lengths in units (see BlockRatio). */
export interface SharedPrefix {
  readonly branches: readonly BranchId[];
  readonly units: readonly number[];
}

const NOTHING: SharedPrefix = { branches: [], units: [] };

/** Creates shared branches on first use. Keys: (salt domain, model, T) for tools, plus Y for the system part, (domain) for the fleet prefix. */
export class SharedPrefixes {
  readonly #table: BranchTable;
  readonly #ratio: BlockRatio;
  readonly #level: SharingLevel;
  readonly #byKey = new Map<string, BranchId>();

  constructor(table: BranchTable, ratio: BlockRatio, level: SharingLevel) {
    this.#table = table;
    this.#ratio = ratio;
    this.#level = level;
  }

  /**
   * Shared part of an agent whose first request has T tool and Y system tokens. `fleet` = the play was drawn to use the fleet prefix.
   * A block that straddles the end of a part belongs to what follows it.
   */
  of(domain: number, model: string, toolTokens: number, systemTokens: number, fleet: boolean): SharedPrefix {
    if (this.#level === 'none') return NOTHING;
    const unit = this.#ratio.unitTokens;
    const toolUnits = Math.floor(toolTokens / unit);
    const prefixUnits = Math.floor((toolTokens + systemTokens) / unit);
    const branches: BranchId[] = [];
    const units: number[] = [];
    const add = (key: readonly (string | number)[], length: number, parent: BranchId) => {
      if (length === 0) return;
      branches.push(this.#branch(JSON.stringify(key), length * this.#ratio.blocksPerUnit, parent));
      units.push(length);
    };
    if (this.#level === 'fleet' && fleet) {
      add(['fleet', domain], prefixUnits, -1);
    } else {
      add(['tools', domain, model, toolTokens], toolUnits, -1);
      if (this.#level === 'tools+system')
        add(['system', domain, model, toolTokens, systemTokens], prefixUnits - toolUnits, branches[0] ?? -1);
    }
    return { branches, units };
  }

  /** Only the fleet prefix grows; the others have one length per key. */
  #branch(key: string, blocks: number, parent: BranchId): BranchId {
    let branch = this.#byKey.get(key);
    if (branch === undefined) {
      branch = this.#table.add(parent, parent < 0 ? 0 : this.#table.length[parent]!, blocks);
      this.#byKey.set(key, branch);
    }
    const missing = blocks - this.#table.length[branch]!;
    if (missing > 0) this.#table.extend(branch, missing);
    return branch;
  }
}
