import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import type { Exposition } from './exposition.ts';

/** Labels that Prometheus itself gives to what it scrapes. */
const ofTargets: ReadonlySet<string> = new Set(['job', 'instance']);
const overCounters = /^(rate|increase|irate)$/;

/** What is wrong with a query, in words: against the grammar, and against what there is to be queried. */
export function problemsOf(query: string, exposition: Exposition): string[] {
  const problems: string[] = [];
  const text = (node: SyntaxNode): string => query.slice(node.from, node.to);

  function visit(node: SyntaxNode): void {
    if (node.type.isError) problems.push(`it cannot be read at "${query.slice(node.from, node.from + 20)}"`);
    if (node.name === 'VectorSelector') checkSelector(node);
    if (node.name === 'GroupingLabels') checkGrouping(node);
    if (node.name === 'FunctionCall') checkQuantile(node);
    for (let child = node.firstChild; child !== null; child = child.nextSibling) visit(child);
  }

  function checkSelector(node: SyntaxNode): void {
    const name = nameOf(node);
    const series = exposition.get(name);
    if (series === undefined) {
      problems.push(`there is no series ${name}`);
      return;
    }
    for (const matcher of all(node, 'UnquotedLabelMatcher')) {
      const label = textOf(matcher, 'LabelName');
      const value = textOf(matcher, 'StringLiteral').slice(1, -1);
      const values = series.labels.get(label);
      if (values === undefined && !ofTargets.has(label)) problems.push(`${name} has no label ${label}`);
      const isExact = textOf(matcher, 'MatchOp') === '=';
      if (isExact && values !== undefined && !values.has(value)) problems.push(`${name} never has ${label}="${value}"`);
    }
    const isCounter = series.type === 'counter' || /_(bucket|sum|count)$/.test(name);
    const isRate = functionsAround(node).some((called) => overCounters.test(called));
    if (isCounter && !isRate) problems.push(`${name} only ever grows: ask for its rate`);
    if (!isCounter && isRate) problems.push(`${name} is a gauge, which has no rate`);
    if (name.endsWith('_bucket') && !functionsAround(node).includes('histogram_quantile')) {
      problems.push(`${name} are buckets: ask for a quantile`);
    }
  }

  function checkGrouping(node: SyntaxNode): void {
    const scope = enclosing(node, 'AggregateExpr') ?? enclosing(node, 'BinaryExpr') ?? node;
    const names = all(scope, 'VectorSelector').map(nameOf);
    for (const label of all(node, 'LabelName').map(text)) {
      const isThere = names.some((name) => exposition.get(name)?.labels.has(label));
      if (!isThere && !ofTargets.has(label)) problems.push(`nothing in ${text(scope)} has the label ${label}`);
    }
  }

  function checkQuantile(node: SyntaxNode): void {
    if (textOf(node, 'FunctionIdentifier') !== 'histogram_quantile') return;
    const groupings = all(node, 'GroupingLabels').map((labels) => all(labels, 'LabelName').map(text));
    if (!groupings.every((labels) => labels.includes('le'))) problems.push('a quantile without le has no buckets');
    const isOfBuckets = all(node, 'VectorSelector').every((selector) => nameOf(selector).endsWith('_bucket'));
    if (!isOfBuckets) problems.push('a quantile is of buckets');
  }

  function nameOf(selector: SyntaxNode): string {
    return textOf(selector, 'Identifier');
  }

  function textOf(node: SyntaxNode, kind: string): string {
    const child = node.getChild(kind);
    return child === null ? '' : text(child);
  }

  function functionsAround(node: SyntaxNode): string[] {
    const names: string[] = [];
    for (let at = node.parent; at !== null; at = at.parent) {
      if (at.name === 'FunctionCall') names.push(textOf(at, 'FunctionIdentifier'));
    }
    return names;
  }

  visit(parser.parse(query).topNode);
  return problems;
}

/** The nodes of a kind below this one. */
function all(node: SyntaxNode, kind: string): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name === kind) found.push(child);
    found.push(...all(child, kind));
  }
  return found;
}

function enclosing(node: SyntaxNode, kind: string): SyntaxNode | null {
  for (let at = node.parent; at !== null; at = at.parent) if (at.name === kind) return at;
  return null;
}
