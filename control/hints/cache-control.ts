import type { CacheControl, Tokens } from '../ports.ts';
import { type CacheTtlMode, cacheTtl } from './cache-ttl.ts';
import { type HintDrop, members } from './hint-drop.ts';

/** A `cache_control` found in a request and where it ends. */
export interface CacheControlMark {
  /** Prompt tokens up to and including the marked block. */
  readonly endTokens: Tokens;
  /** The raw member, e.g. `{type: "ephemeral", ttl: "5m"}`. */
  readonly control: unknown;
}

/** Where in a body a mark stands; the tokeniser turns it into `endTokens`. */
export interface CacheControlPlace {
  readonly level: 'top' | 'tools' | 'system' | 'messages';
  /** Index of the tool, system block or message; 0 for `top`. */
  readonly index: number;
  /** Index of the content block of a message; 0 elsewhere. */
  readonly block: number;
  readonly control: unknown;
}

/**
 * Marks in normal form, in the order given. A breakpoint after token t covers the blocks up to floor(t / block) - 1; one that
 * covers none is dropped as too_short. A malformed control drops only itself. Source: router specification 1.3.
 */
export function cacheControls(
  marks: readonly CacheControlMark[],
  blockTokens: Tokens,
  mode: CacheTtlMode,
  drops: HintDrop[],
): readonly CacheControl[] {
  const controls: CacheControl[] = [];
  for (const { endTokens, control } of marks) {
    const fields = members(control);
    if (fields === undefined) {
      drops.push({ field: 'cache_control', reason: 'wrong_type' });
      continue;
    }
    if (fields['type'] !== 'ephemeral') {
      drops.push({ field: 'cache_control.type', reason: 'unknown_value' });
      continue;
    }
    const ttlMs = cacheTtl(fields['ttl'], mode);
    if (typeof ttlMs !== 'number') {
      drops.push({ field: 'cache_control.ttl', reason: ttlMs });
      continue;
    }
    const blockIndex = Math.floor(endTokens / blockTokens) - 1;
    if (blockIndex < 0) drops.push({ field: 'cache_control', reason: 'too_short' });
    else controls.push({ blockIndex, ttlMs });
  }
  return controls;
}

/** Content blocks that may carry a control (router specification 1.3). */
const BLOCK_TYPES = new Set(['text', 'tool_use', 'tool_result', 'thinking', 'image', 'document']);

/**
 * Every `cache_control` of an Anthropic body in prompt order: tools, system (only the last block that carries one), messages, then
 * a top-level one, which covers the whole prompt. Cost O(content blocks).
 */
export function cacheControlPlaces(body: unknown): readonly CacheControlPlace[] {
  const fields = members(body);
  if (fields === undefined) return [];
  const places: CacheControlPlace[] = [];
  list(fields['tools']).forEach((tool, index) => {
    const control = members(tool)?.['cache_control'];
    if (control !== undefined) places.push({ level: 'tools', index, block: 0, control });
  });
  const system = list(fields['system']);
  for (let index = system.length - 1; index >= 0; index--) {
    const control = members(system[index])?.['cache_control'];
    if (control === undefined) continue;
    places.push({ level: 'system', index, block: 0, control });
    break;
  }
  list(fields['messages']).forEach((message, index) => {
    list(members(message)?.['content']).forEach((content, block) => {
      const parts = members(content);
      const control = parts?.['cache_control'];
      if (control !== undefined && BLOCK_TYPES.has(String(parts!['type']))) places.push({ level: 'messages', index, block, control });
    });
  });
  const top = fields['cache_control'] ?? members(fields['nvext'])?.['cache_control'];
  if (top !== undefined) places.push({ level: 'top', index: 0, block: 0, control: top });
  return places;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
