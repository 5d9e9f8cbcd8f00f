/**
 * `strangle`: puts a workflow beside the handler of a route, to take its place bit by bit (the strangler fig of Fowler, 2004). What it
 * gives is a handler of the same form, so a route is strangled in the line in which it is mounted.
 */
import type { WorkflowFor } from '../client/index.js';
import { SpineError } from '../core/errors.js';
import { type AnyHandler, callOld, type Exchange, type HandlerCall } from './exchange.js';
import { fastifyExchange, isFastifyCall } from './forms/fastify.js';
import { fetchExchange, honoExchange, isHonoContext, isRequest } from './forms/fetch.js';
import { isNodeCall, nodeExchange } from './forms/node.js';
import { settingsOf, type StrangleOptions } from './options.js';
import type { StrangleOrder } from './orders.js';
import type { StrangleReport } from './report.js';
import { Strangler } from './strangler.js';

/** What a strangled handler has beside its calls. */
export interface Strangled<Handler extends AnyHandler = AnyHandler> {
  /** What this process has done since it began. */
  report(): StrangleReport;
  /**
   * Says what to do from now on: `old` = only the old handler, at once; `declared` = as the options say; or shares of it,
   * `{ async: 0.25 }`. Holds in this process; `orderStrangled` and `eventspine strangle` reach all. OPTIONS_INVALID.
   */
  turn(order: StrangleOrder): void;
  /** The handler of the path `status`: answers callers that were answered 202, as the route does. */
  readonly status: Handler;
  /** Waits for mirrored runs under way and publishes what was not yet. At the end of the process. */
  close(): Promise<void>;
}

/**
 * Wraps the handler of a route, of Express, Fastify, Hono, Next or plain `node:http`, in one of the same form. Without `async` and
 * `mirror` it does what the old one did. Opens nothing. Fails with OPTIONS_INVALID.
 */
export function strangle<Handler extends AnyHandler, App, Name extends WorkflowFor<App> & string>(
  handler: Handler,
  options: StrangleOptions<App, Name>,
): Handler & Strangled<Handler> {
  if (typeof handler !== 'function')
    throw new SpineError('OPTIONS_INVALID', { what: 'strangle', faults: ['the handler is not a function'] });
  const strangler = new Strangler(settingsOf(options));

  function strangled(this: unknown, ...args: readonly unknown[]): unknown {
    const call = { handler, self: this, args };
    if (strangler.isAside) return callOld(call);
    return strangler.handle(exchangeOf(call));
  }

  function status(this: unknown, ...args: readonly unknown[]): unknown {
    return strangler.handleStatus(exchangeOf({ handler, self: this, args }));
  }

  // It takes what the old handler takes, gives what it gives, and asks nothing else of its framework.
  return Object.assign(strangled as unknown as Handler, {
    report: () => strangler.report,
    turn: (order: StrangleOrder) => strangler.turn(order),
    status: status as unknown as Handler,
    close: () => strangler.close(),
  });
}

/** Which form a handler is of shows in what it is called with. */
function exchangeOf(call: HandlerCall): Exchange {
  const { args } = call;
  const [first] = args;
  if (isRequest(first)) return fetchExchange(call, first);
  if (isHonoContext(first)) return honoExchange(call, first);
  if (isFastifyCall(args)) return fastifyExchange(call, ...args);
  if (isNodeCall(args)) return nodeExchange(call, args[0], args[1]);
  throw new SpineError('OPTIONS_INVALID', {
    what: 'strangle',
    faults: ['the handler is called with nothing of Express, Fastify, Hono, Next or node:http'],
  });
}
