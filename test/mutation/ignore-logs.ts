/**
 * A StrykerJS plugin: lines of the log are not mutated. They are for people who look for a cause, no promise hangs on their
 * words, and a test of each would only say them twice. What is said to users (conditions, messages, events, refusals) is
 * mutated, and pinned by tests.
 */
export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'logs',
    value: {
      shouldIgnore({ node }: { readonly node: unknown }): string | undefined {
        return isLogging(node) ? 'a line of the log' : undefined;
      },
    },
  },
];

/** A log line, a function that writes nothing else, and the question whether to write one. */
function isLogging(node: unknown): boolean {
  if (!isNode(node)) return false;
  switch (node.type) {
    case 'ExpressionStatement':
      return isLogging(node.expression);
    case 'CallExpression':
      return isOfLog(node.callee);
    case 'ArrowFunctionExpression':
      return isLogging(node.body);
    case 'BlockStatement':
      return Array.isArray(node.body) && node.body.length > 0 && node.body.every(isLogging);
    case 'IfStatement':
      return node.alternate === null && isLogging(node.consequent);
    default:
      return false;
  }
}

/** `log.warn`, `this.log.warn` */
function isOfLog(callee: unknown): boolean {
  if (!isNode(callee) || callee.type !== 'MemberExpression' || !isNode(callee.object)) return false;
  const { object } = callee;
  const logger = object.type === 'MemberExpression' ? object.property : object;
  return isNode(logger) && logger.type === 'Identifier' && logger.name === 'log';
}

function isNode(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && 'type' in value;
}
