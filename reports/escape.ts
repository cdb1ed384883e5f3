/**
 * Text of others inside a format: names of scenarios, arms, traces and metrics may hold anything and must come out as text. Every
 * renderer passes them through exactly one of these, once.
 */

/** Control characters as visible escapes, so that no name moves a cursor or ends a line: `\x1b`, `\n`. */
export function printable(text: string): string {
  return text.replace(CONTROL, (c) => (c === '\n' ? '\\n' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`));
}

/** Text or attribute value of XML 1.0; characters that XML does not know become visible escapes. */
export function xmlText(text: string): string {
  return printable(text)
    .replace(NOT_XML, '\ufffd')
    .replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A Markdown code span that holds any text, also inside a table cell: no markup, link, mention or HTML in it works. */
export function codeSpan(text: string): string {
  const plain = printable(text);
  const longest = Math.max(0, ...[...plain.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = '`'.repeat(longest + 1);
  const pad = plain === '' || /^[` ]|[` ]$/.test(plain) ? ' ' : '';
  return `${fence}${pad}${plain.replaceAll('|', '\\|')}${pad}${fence}`;
}

/** Plain words in Markdown: signs that would be markup, HTML, a mention or an issue become entities. */
export function markdownText(text: string): string {
  return printable(text).replace(/[&<>|`*_~[\]\\@#!$]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Message of a GitHub workflow command. */
export function annotationMessage(text: string): string {
  return text
    .replaceAll('%', '%25')
    .replaceAll('\r', '%0D')
    .replaceAll('\n', '%0A')
    .replace(CONTROL, (c) => printable(c));
}

/** Property of a GitHub workflow command, such as `title`. */
export function annotationProperty(text: string): string {
  return annotationMessage(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/** Lone surrogates and the two code points that XML 1.0 leaves out. */
const NOT_XML = /[\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
