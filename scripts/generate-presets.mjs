/**
 * Writes the gpu and model presets from sim/hardware/data (hardware.json, models.json, cells.json) and scenarios/presets.lock.json
 * from whatever lies in scenarios/presets. A released preset file never changes: an existing file whose text would change is an
 * error; raise its version instead. Run: `node scripts/generate-presets.mjs`.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const presets = join(root, 'scenarios/presets');

/** Text of every generated preset by its path below scenarios/presets. */
export function presetTexts(dataDir = join(root, 'sim/hardware/data')) {
  const data = (name) => JSON.parse(readFileSync(join(dataDir, name), 'utf8'));
  const hardware = data('hardware.json');
  const models = data('models.json');
  return { ...gpuPresets(hardware), ...modelPresets(models, data('cells.json').cells) };
}

/** sha256 of every preset file, `{ "gpu/h100-sxm@1": "..." }`, sorted. */
export function lockOf(dir = presets) {
  const lock = {};
  for (const kind of readdirSync(dir).sort()) {
    for (const file of readdirSync(join(dir, kind)).sort()) {
      lock[`${kind}/${file.replace(/\.yaml$/, '')}`] = createHash('sha256')
        .update(readFileSync(join(dir, kind, file)))
        .digest('hex');
    }
  }
  return lock;
}

function document(ref, description, fields) {
  const lines = [
    `# Written by scripts/generate-presets.mjs. A released preset never changes.`,
    `preset: ${ref}`,
    `description: ${JSON.stringify(description)}`,
    'values:',
  ];
  for (const [name, field] of Object.entries(fields)) {
    if (field === undefined) continue;
    if (typeof field !== 'object' || field === null) lines.push(`  ${name}: ${field === null ? 'none' : JSON.stringify(field)}`);
    else lines.push(`  ${name}: {value: ${field.value}, source: ${JSON.stringify(field.source)}, confidence: ${field.confidence}}`);
  }
  return lines.join('\n') + '\n';
}

const from = (value, source, confidence) => ({ value, source, confidence });

function gpuPresets(hardware) {
  const texts = {};
  const constants = 'aiconfigurator systems/*.yaml, commit 095f58a (Apache-2.0)';
  for (const [id, gpu] of Object.entries(hardware.gpus)) {
    const name = id.replaceAll('_', '-');
    const assumedMemory = gpu.memoryFrom.includes('assumed');
    const measuredLink = gpu.hostLinkStatus === 'measured';
    const link = measuredLink ? 'vLLM KV offloading connector, blog of 2026-01-08, H100 + Gen5 host' : gpu.hostLinkStatus;
    const price = gpu.priceUsdPerGpuHour;
    texts[`gpu/${name}@1.yaml`] = document(`gpu/${name}@1`, gpu.name, {
      id,
      gpusPerNode: from(id === 'gb200' ? hardware.node.gb200GpusPerNode : hardware.node.gpusPerNode, 'common node layout', 'datasheet'),
      memoryBytes: from(gpu.memoryBytes, gpu.memoryFrom, assumedMemory ? 'assumed' : 'measured'),
      hbmGBps: from(gpu.hbmGBps, constants, 'datasheet'),
      tdpW: from(gpu.tdpW, constants, 'datasheet'),
      hostReadGBps: from(gpu.h2dGBps, link, measuredLink ? 'measured' : 'assumed'),
      hostWriteGBps: from(gpu.d2hGBps, link, measuredLink ? 'measured' : 'assumed'),
      hostDuplexGBps: from(gpu.bidirTotalGBps, link, measuredLink ? 'measured' : 'assumed'),
      priceUsdPerGpuHour: from(price.default, `public prices ${price.low}-${price.high}: ${price.notes}`, 'assumed'),
    });
  }
  return texts;
}

/** Checkpoints whose limit is not the one models.json lists: the 2507 checkpoints of Qwen3-235B (experiments specification 1.4). */
const CONTEXT_LIMITS = { 'qwen3-235b-a22b': [262144, 'Qwen3-235B-A22B-2507 checkpoints'] };

function modelPresets(models, cells) {
  const texts = {};
  for (const cell of cells) {
    const model = models.models.find((m) => m.id === cell.model);
    const ref = `model/${model.id}-${cell.dtype.weights}@1`;
    const dims = model.dimsFrom.startsWith('config') ? ['published model configuration', 'datasheet'] : [model.dimsFrom, 'assumed'];
    const [limit, limitSource] = CONTEXT_LIMITS[model.id] ?? [model.maxContextTokens, dims[0]];
    texts[`${ref}.yaml`] = document(ref, `${model.aliases[0]} with ${cell.dtype.weights} weights`, {
      model: model.id,
      weights: cell.dtype.weights,
      gemm: cell.dtype.gemm,
      moe: cell.dtype.moe,
      cellKvDtype: cell.dtype.kv === 'bfloat16' ? 'bf16' : cell.dtype.kv,
      contextLimit: from(limit, limitSource, limitSource === dims[0] ? dims[1] : 'datasheet'),
      layers: from(model.layers, ...dims),
      kvHeads: from(model.kvHeads, ...dims),
      paramsB: from(model.paramsB, ...dims),
      weightBytesPerParam: from(models.weightBytesPerParam[cell.dtype.weights], models.weightBytesNote, 'derived'),
      kvBytesPerTokenBf16: from(model.kvBytesPerTokenBf16, 'performance-model specification 10.1', 'derived'),
      perSequenceBytes: from(model.perSequenceBytes, 'performance-model specification 10.1', 'derived'),
    });
  }
  return texts;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let changed = 0;
  for (const [path, text] of Object.entries(presetTexts())) {
    const file = join(presets, path);
    mkdirSync(dirname(file), { recursive: true });
    const same = existsSync(file) && isDeepStrictEqual(parse(readFileSync(file, 'utf8')), parse(text));
    if (same) continue;
    if (existsSync(file) && !process.argv.includes('--unreleased')) {
      console.error(`${path} would change: a released preset never does. Raise its version (or --unreleased before the first release).`);
      changed++;
    } else writeFileSync(file, text);
  }
  if (changed === 0) writeFileSync(join(root, 'scenarios/presets.lock.json'), `${JSON.stringify(lockOf(), null, 2)}\n`);
  process.exitCode = changed > 0 ? 1 : 0;
}
