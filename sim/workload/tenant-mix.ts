/**
 * Whose sessions they are, and which tenants share blocks: the names of the tenants, the tenant of each play, and the salt domain of each
 * tenant. Blocks of two domains never have the same identity. Source: retention specification 14.1, experiments specification 1.4.
 */
import type { Trace } from '../../traces/columns.ts';
import type { Stream } from '../kernel/draw.ts';
import type { WorkloadOptions } from './workload-options.ts';

/** A tenant of a mix. */
export interface TenantShare {
  readonly name: string;
  /** Share of the plays, 0..1; the shares of a mix add up to 1. */
  readonly share: number;
  /** Queue class of its requests; absent = what the trace's session asks for. */
  readonly class?: string;
  /** Tenants that write the same salt share blocks; absent = its own. */
  readonly salt?: string;
}

/** Tenants of a workload. */
export class TenantMix {
  /** Names by index: of a mix as written, of a trace in order of first use. */
  readonly names: readonly string[];
  /** Number of domains; 1 = all tenants share blocks. */
  readonly domains: number;
  readonly #domainOf: readonly number[];
  readonly #mix: readonly TenantShare[] | undefined;
  /** Tenant of each session, where the trace names them. */
  readonly #ofSession: Int32Array;

  constructor(trace: Trace, options: Pick<WorkloadOptions, 'tenants' | 'salt'>) {
    this.#mix = options.tenants;
    const recorded = recordedTenants(trace);
    this.names = this.#mix?.map(({ name }) => name) ?? recorded.names;
    this.#ofSession = recorded.ofSession;
    const salts = options.salt === 'shared' ? this.names.map(() => '') : saltNames(this.names, this.#mix);
    const distinct = [...new Set(salts)];
    this.domains = distinct.length;
    this.#domainOf = salts.map((salt) => distinct.indexOf(salt));
  }

  /** Tenant of a play of `session`; `stream` opens the play's own stream, which only a mix draws from. */
  of(session: number, stream: () => Stream): number {
    if (this.#mix === undefined) return this.#ofSession[session]!;
    let rest = stream().double();
    for (const [tenant, { share }] of this.#mix.entries()) {
      rest -= share;
      if (rest < 0) return tenant;
    }
    // Shares add up to 1 but for rounding: what is left belongs to the last that has any.
    return this.#mix.findLastIndex(({ share }) => share > 0);
  }

  /** Salt domain of a tenant, 0..domains-1. */
  domain(tenant: number): number {
    return this.#domainOf[tenant]!;
  }

  /** Queue class that the mix gives a tenant. */
  queueClass(tenant: number): string | undefined {
    return this.#mix?.[tenant]?.class;
  }
}

/** Salt of each tenant; a salt that somebody wrote is never the own salt of another. */
function saltNames(names: readonly string[], mix: readonly TenantShare[] | undefined): string[] {
  return names.map((name, i) => {
    const salt = mix?.[i]?.salt;
    return salt === undefined ? `own:${name}` : `written:${salt}`;
  });
}

function recordedTenants(trace: Trace): { readonly names: readonly string[]; readonly ofSession: Int32Array } {
  const names: string[] = [];
  const indexOf = new Map<number, number>();
  const ofSession = new Int32Array(trace.sessionCount);
  for (let s = 0; s < trace.sessionCount; s++) {
    const text = trace.session.tenant[s]!;
    let index = indexOf.get(text);
    if (index === undefined) {
      index = names.length;
      names.push(trace.strings[text]!);
      indexOf.set(text, index);
    }
    ofSession[s] = index;
  }
  return { names, ofSession };
}
