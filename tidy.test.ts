/**
 * The architecture as a test: who may import whom, what production code must not touch, how long files and functions may be,
 * which exports need a docstring. Every message says what to do instead.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = dirname(fileURLToPath(import.meta.url));
const SKIP = new Set(['node_modules', 'dist', '.git', 'kvcast-out', 'coverage', '.cache']);

const files = walk(ROOT)
  .filter((f) => f.endsWith('.ts') && !f.endsWith('.gen.ts') && !f.endsWith('.d.ts'))
  .sort();
const sources = new Map(files.map((f) => [f, ts.createSourceFile(f, readFileSync(join(ROOT, f), 'utf8'), ts.ScriptTarget.ES2022, true)]));
const isTest = (f: string) => /\.(test|bench)\.ts$/.test(f) || /(fixture|fixtures|\.property|naive)/.test(f);

/** Room -> rooms it may import. Anything inside the own room is free. Test files may reach anywhere. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  control: [],
  traces: ['control'],
  scenarios: ['control/user-error.ts'],
  gateway: ['control', 'traces'],
  sim: ['control', 'traces', 'scenarios'],
  reports: ['scenarios', 'sim/experiment', 'sim/measure/registry.ts'],
};

describe('import rules', () => {
  for (const [file, source] of sources) {
    const room = file.split('/')[0]!;
    const allowed = MAY_IMPORT[room];
    if (allowed === undefined || isTest(file)) continue;
    it(`${file} imports only what its room may`, () => {
      const wrong = importsOf(source)
        .filter((spec) => spec.startsWith('.'))
        .map((spec) => relative(ROOT, join(ROOT, dirname(file), spec)))
        .filter((target) => !target.startsWith(`${room}/`) && !allowed.some((a) => target === a || target.startsWith(`${a}/`)));
      expect(
        wrong,
        `${room}/ may import only ${allowed.join(', ') || 'nothing of ours'}. Move the shared piece down to control/ or pass it in as a parameter.`,
      ).toEqual([]);
    });
  }

  it('control keeps out of the outside world', () => {
    const wrong = [...sources]
      .filter(([f]) => f.startsWith('control/') && !isTest(f))
      .flatMap(([f, s]) =>
        importsOf(s)
          .filter((i) => i.startsWith('node:'))
          .map((i) => `${f} imports ${i}`),
      );
    expect(wrong, 'control/ is pure: let the shell do the I/O and pass the value in.').toEqual([]);
  });

  it('nobody but `kvcast bound`, and the tables written from it, knows the future', () => {
    const allowed = ['commands/bound.ts', 'bench/retention-results.ts'];
    const wrong = [...sources]
      .filter(([f]) => !isTest(f) && !f.startsWith('sim/oracle/') && !allowed.includes(f))
      .flatMap(([f, s]) =>
        importsOf(s)
          .filter((i) => i.includes('oracle/'))
          .map((i) => `${f} imports ${i}`),
      );
    expect(wrong, 'oracles are for sim/oracle and commands/bound.ts; a policy gets what it was told, in time.').toEqual([]);
  });

  it('the gateway and the model never see each other', () => {
    const wrong = [...sources].flatMap(([f, s]) =>
      importsOf(s)
        .filter((i) => (f.startsWith('sim/') && i.includes('gateway/')) || (f.startsWith('gateway/') && i.includes('sim/')))
        .map((i) => `${f} imports ${i}`),
    );
    expect(wrong, 'gateway/ and sim/ are siblings; what both need belongs in control/.').toEqual([]);
  });
});

const PURE = ['control/', 'sim/kernel/', 'sim/engine/'];
const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/^Date$|^performance$/, 'take the time as an argument (nowMs)'],
  [/^setTimeout$|^setInterval$|^setImmediate$|^queueMicrotask$/, 'ask for wakeAt instead of a timer'],
  [/^process$/, 'pass the value in'],
];
const FORBIDDEN_MATH = new Set([
  'random',
  'exp',
  'expm1',
  'log',
  'log1p',
  'log2',
  'log10',
  'pow',
  'sin',
  'cos',
  'tan',
  'tanh',
  'sinh',
  'cosh',
  'atan',
  'asin',
  'acos',
  'cbrt',
  'hypot',
]);

describe('purity of production code', () => {
  for (const [file, source] of sources) {
    if (isTest(file) || !PURE.some((p) => file.startsWith(p))) continue;
    it(`${file} is deterministic`, () => {
      const found: string[] = [];
      visit(source, (node) => {
        const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
        if (ts.isIdentifier(node) && !isPropertyName(node)) {
          for (const [name, remedy] of FORBIDDEN) if (name.test(node.text)) found.push(`${file}:${line} ${node.text}: ${remedy}`);
        }
        if (
          ts.isPropertyAccessExpression(node) &&
          node.expression.getText(source) === 'Math' &&
          FORBIDDEN_MATH.has(node.name.text) &&
          file !== 'control/math.ts'
        ) {
          found.push(`${file}:${line} Math.${node.name.text}: use control/math.ts (or keyed draws)`);
        }
        if (
          ts.isBinaryExpression(node) &&
          node.operatorToken.kind === ts.SyntaxKind.AsteriskAsteriskToken &&
          !(ts.isNumericLiteral(node.left) && ts.isNumericLiteral(node.right))
        )
          found.push(`${file}:${line} **: use pow of control/math.ts or multiply`);
        if (node.kind === ts.SyntaxKind.AsyncKeyword) found.push(`${file}:${line} async: calls here are synchronous`);
      });
      expect(found).toEqual([]);
    });
  }
});

describe('size and names', () => {
  it('no file is longer than 600 lines; most are below 300', () => {
    const long = [...sources].filter(([f]) => !f.endsWith('.test.ts')).map(([f, s]) => [f, s.getLineStarts().length] as const);
    expect(
      long.filter(([, n]) => n > 600),
      'split the file by subject',
    ).toEqual([]);
    const share = long.filter(([, n]) => n > 300).length / long.length;
    expect(share, 'more than a tenth of the files is above 300 lines: split some').toBeLessThan(0.15);
  });

  it('functions fit a screen or two', () => {
    const long: string[] = [];
    for (const [file, source] of sources) {
      if (isTest(file)) continue;
      visit(source, (node) => {
        if (!ts.isFunctionDeclaration(node) && !ts.isMethodDeclaration(node)) return;
        const from = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
        const to = source.getLineAndCharacterOfPosition(node.getEnd()).line;
        if (to - from > 110) long.push(`${file}:${from + 1} ${node.name?.getText(source)} has ${to - from} lines`);
      });
    }
    expect(long, 'name the parts and call them').toEqual([]);
  });

  it('file names are kebab-case nouns', () => {
    const wrong = files.filter(
      (f) =>
        !/^[a-z0-9-]+(\.(test|fixture|property\.test|contract\.test|system\.test|property|bench|gen|config))?\.ts$/.test(
          f.split('/').at(-1)!,
        ),
    );
    expect(wrong).toEqual([]);
    const vague = files.filter((f) => /(^|\/|-)(utils?|helpers?|manager|misc|common|stuff)\.ts$/.test(f));
    expect(vague, 'name the file after what it holds').toEqual([]);
  });

  it('nothing is exported as default except configuration', () => {
    const wrong = [...sources]
      .filter(([f, s]) => !f.endsWith('.config.ts') && s.statements.some((n) => ts.isExportAssignment(n) || hasDefault(n)))
      .map(([f]) => f);
    expect(wrong, 'use a named export').toEqual([]);
  });
});

describe('docstrings', () => {
  it('every export of control/, sim/, traces/, scenarios/ and reports/ says what it is', () => {
    const bare: string[] = [];
    for (const [file, source] of sources) {
      if (isTest(file) || !/^(control|sim|traces|scenarios|reports)\//.test(file)) continue;
      for (const node of source.statements) {
        if (!isExported(node)) continue;
        if (ts.isVariableStatement(node) && !/\n\s*\n/.test(source.text.slice(node.getFullStart(), node.getStart(source)))) continue; // group below a documented constant
        if (isMainExport(node, file) && source.text.trimStart().startsWith('/**')) continue; // the comment that opens the file speaks of it
        if (ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isExportDeclaration(node)) continue;
        if (
          ts.getJSDocCommentsAndTags(node).length === 0 &&
          !source.text.slice(node.getFullStart(), node.getStart(source)).includes('/**')
        ) {
          const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
          bare.push(`${file}:${line} ${node.getText(source).split('\n')[0]!.slice(0, 70)}`);
        }
      }
    }
    expect(bare, 'one sentence: what it is; then only what the types cannot say').toEqual([]);
  });
});

/** Whether the statement exports what the file is named after. */
function isMainExport(node: ts.Statement, file: string): boolean {
  const name = ts.isVariableStatement(node)
    ? node.declarationList.declarations[0]!.name.getText()
    : (node as ts.ClassDeclaration).name?.text;
  const plain = (text: string) => text.toLowerCase().replace(/[-_]/g, '');
  const stem = plain(file.split('/').at(-1)!.replace(/\.ts$/, ''));
  return name !== undefined && (plain(name) === stem || stem.startsWith(plain(name)) || plain(name).endsWith(stem));
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIP.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [relative(ROOT, path)];
  });
}

function importsOf(source: ts.SourceFile): string[] {
  const out: string[] = [];
  visit(source, (node) => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined)
      out.push((node.moduleSpecifier as ts.StringLiteral).text);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword && ts.isStringLiteral(node.arguments[0]!))
      out.push(node.arguments[0].text);
  });
  return out;
}

function visit(node: ts.Node, fn: (node: ts.Node) => void): void {
  fn(node);
  node.forEachChild((child) => visit(child, fn));
}

function isPropertyName(node: ts.Identifier): boolean {
  const p = node.parent;
  return (
    (ts.isPropertyAccessExpression(p) && p.name === node) ||
    (ts.isPropertyAssignment(p) && p.name === node) ||
    ts.isPropertySignature(p) ||
    ts.isPropertyDeclaration(p) ||
    ts.isMethodDeclaration(p) ||
    ts.isMethodSignature(p)
  );
}

function isExported(node: ts.Node): boolean {
  return ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.ExportKeyword);
}

function hasDefault(node: ts.Node): boolean {
  return ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.DefaultKeyword);
}
