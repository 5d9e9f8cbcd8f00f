/** `eventspine tools`: what models may have done by tools, and what is ordered over it. */
import type { ToolOrderOptions } from '../../core/tools/read-policy.js';
import type { ToolTerms } from '../../core/tools/policy.js';
import type { ToolOrderView } from '../../protocol/tools.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderTable } from '../table.js';

/** Rules of apps in their order, after the orders that hold beside them. */
export const listTools: CommandRun = async (invocation) => {
  const view = await clientFor(invocation).tools.get();
  printValue(invocation, view, () => {
    const orders = view.orders.map((order) => [order.name, `by ${order.orderedBy}`, ...rowOf(order)]);
    const rules = view.policies.flatMap(({ app, policy }) => [
      ...policy.rules.map((rule) => [rule.name, `app ${app}`, ...rowOf(rule)]),
      ['(others)', `app ${app}`, '', policy.otherwise, 'refused with an effect outside'],
    ]);
    if (orders.length + rules.length === 0)
      return [
        'Nothing is said of tools. Apps do it by `tools` (docs/guides/tools.md); `eventspine tools shut` shuts one off.',
      ];
    return renderTable(['NAME', 'FROM', 'TOOLS', 'THEN', 'WITHIN'], [...orders, ...rules]);
  });
  return exitCodes.ok.code;
};

/** Gives an order. */
export const orderTool: CommandRun = async (invocation) => {
  const { words, io } = invocation;
  const order = await jsonArgument(words.one('order'), 'the order', io);
  const view = await clientFor(invocation).tools.order(words.one('name'), order as ToolOrderOptions);
  printOrder(invocation, view);
  return exitCodes.ok.code;
};

/** Has calls refused everywhere. */
export const shutTool: CommandRun = async (invocation) => {
  const tools = invocation.words.one('tools');
  const reason = invocation.flags.text('reason');
  const order = { tools, verdict: 'refuse', ...(reason === undefined ? {} : { reason }) } as const;
  printOrder(invocation, await clientFor(invocation).tools.order(`shut:${tools}`, order));
  return exitCodes.ok.code;
};

/** Takes an order back. */
export const dropToolOrder: CommandRun = async (invocation) => {
  const name = invocation.words.one('name');
  await clientFor(invocation).tools.drop(name);
  printValue(invocation, { name }, () => [`${name} is taken back.`]);
  return exitCodes.ok.code;
};

function printOrder(invocation: Invocation, order: ToolOrderView): void {
  printValue(invocation, order, () => [
    `${order.name}: ${order.verdict} ${order.tools.join(', ')}, ${withinText(order)}.`,
  ]);
}

function rowOf(terms: ToolTerms & { readonly verdict: string }): string[] {
  return [terms.tools.join(', '), terms.verdict, withinText(terms)];
}

function withinText({ by, tenants, limits = {}, perRun, tainted }: ToolTerms): string {
  const parts = [
    ...(by === undefined ? [] : [`of ${by.join(', ')}`]),
    ...(tenants === undefined ? [] : [`in ${tenants.join(', ')}`]),
    ...Object.keys(limits).map((path) => `${path} limited`),
    ...(perRun?.calls === undefined ? [] : [`${perRun.calls} a run`]),
    ...Object.entries(perRun?.sum ?? {}).map(([path, most]) => `${path} up to ${most} a run`),
    ...(tainted === undefined ? [] : [`tainted: ${tainted}`]),
  ];
  return parts.join('; ') || 'without limits';
}
