/**
 * The tool `calculate`: arithmetic with + - * / ^ and parentheses, by precedence climbing. It reads the expression
 * itself and evaluates nothing else, because what a model writes is input like any other.
 */

/** A calculation that cannot be done. Trying again does not help. */
export class CalculationFailed extends Error {
  readonly retryable = false;
  readonly class = 'tool_error';
  readonly code = 'CALCULATION_FAILED';
  override readonly name = 'CalculationFailed';
}

const expressionLengthMax = 200;
const precedence: Readonly<Record<string, number>> = { '+': 1, '-': 1, '*': 2, '/': 2, '^': 3 };

/** The value of an expression such as `2400 / 18`. Throws `CalculationFailed`. */
export function calculate(expression: string): number {
  if (expression.length > expressionLengthMax) throw new CalculationFailed('The expression is too long.');
  const tokens = tokensOf(expression);
  const value = parse(tokens, 1);
  if (tokens.length > 0) throw new CalculationFailed(`"${tokens[0]}" was not expected in "${expression}".`);
  if (!Number.isFinite(value)) throw new CalculationFailed(`"${expression}" has no finite value.`);
  return value;
}

/** Takes what binds at least as tightly as `level` from the front of the tokens. */
function parse(tokens: string[], level: number): number {
  let left = operand(tokens);
  for (;;) {
    const operator = tokens[0] ?? '';
    const own = precedence[operator] ?? 0;
    if (own < level) return left;
    tokens.shift();
    // A power binds to the right: 2 ^ 3 ^ 2 is 2 ^ 9.
    left = apply(operator, left, parse(tokens, operator === '^' ? own : own + 1));
  }
}

function operand(tokens: string[]): number {
  const token = tokens.shift();
  if (token === '-') return -parse(tokens, 3);
  if (token === '(') {
    const value = parse(tokens, 1);
    if (tokens.shift() !== ')') throw new CalculationFailed('A parenthesis is not closed.');
    return value;
  }
  if (token === undefined || !/^\d/.test(token)) throw new CalculationFailed('A number is missing.');
  return Number(token);
}

function apply(operator: string, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    default:
      return left ** right;
  }
}

function tokensOf(expression: string): string[] {
  // Thousands separators are taken out first, since documents and models write them.
  const text = expression.replaceAll(/(?<=\d),(?=\d{3}(?!\d))/g, '');
  const tokens = text.match(/\d+(?:\.\d+)?|[-+*/^()]/g) ?? [];
  const left = text.replaceAll(/\d+(?:\.\d+)?|[-+*/^()]|\s/g, '');
  if (left !== '') throw new CalculationFailed(`"${left[0]}" is not part of arithmetic.`);
  return tokens;
}
