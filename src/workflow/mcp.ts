/**
 * Tools of an MCP server (Model Context Protocol) as capabilities: each call of one is a call of the run, with limits, retries
 * and an effect, done by whichever pool has the handlers. The client is met by its structure, and nothing is imported: that of
 * the TypeScript SDK (`callTool`) and that of the AI SDK (`tools()`) both are one.
 *
 * Invariant: the tools are those that the app declares. What a server says of itself is never taken into a body.
 */
import type { Duration } from '../core/duration.js';
import type { FailureClass } from '../core/failure.js';
import type { Effect } from '../core/run/events.js';
import { capability, type Capability, type Handler, type HandlerContext } from './capability.js';
import type { AnySchema } from './infer/answer-schema.js';
import { capabilityTool, type Tool } from './infer/tool.js';
import type { Limit } from './limit.js';
import { OptionFaults } from './options.js';
import type { RetryOptions } from './retry-options.js';

/** A client as the TypeScript SDK of MCP has it. */
export interface McpSdkClient {
  callTool(
    params: {
      readonly name: string;
      readonly arguments?: Record<string, unknown>;
      readonly _meta?: Record<string, unknown>;
    },
    resultSchema?: undefined,
    options?: { readonly signal?: AbortSignal; readonly timeout?: number },
  ): Promise<unknown>;
  close?(): unknown;
}

/** A client as `createMCPClient` of the AI SDK gives it. */
export interface McpAiClient {
  tools(): PromiseLike<Readonly<Record<string, object>>>;
  close?(): unknown;
}

/** A client that is connected. */
export type McpClient = McpSdkClient | McpAiClient;

/** One tool of a server. */
export interface McpToolOptions {
  /** For the model: what it does, and when to use it. */
  readonly description?: string;
  /** What it takes. Default: any object. */
  readonly input?: AnySchema;
  /** What may happen again after a crash in mid-call. Default: that of all tools of the server. */
  readonly effect?: Effect;
}

/** Options of `mcpTools`. */
export interface McpOptions<Tools extends Readonly<Record<string, McpToolOptions>>> {
  /** Connects to the server. Called in workers only, once for each connection: after one has broken, with the next call. */
  connect(): McpClient | Promise<McpClient>;
  /** The tools that may be called, by the names that the server has for them. */
  readonly tools: Tools;
  /** What each call has to find room in before it is queued. Default: nothing. */
  readonly limits?: readonly Limit[];
  /** Default `external`: of a call whose worker died a person decides whether it is made again. */
  readonly effect?: Effect;
  /** Longest time of one attempt. Default 5 min. */
  readonly timeout?: Duration;
  /** Default: 4 attempts, and 1 for an external effect. */
  readonly retry?: RetryOptions;
}

/** The tools of one server. */
export interface McpTools<Names extends string> {
  /** For `ctx.infer` and `ai.tools`. */
  readonly tools: { readonly [Name in Names]: Tool };
  /** For `ctx.call`. Each is named `<server>.<tool>`. */
  readonly capabilities: { readonly [Name in Names]: Capability<string, unknown, unknown> };
  /** For `handlers` of the app whose workers do the calls. */
  readonly handlers: readonly Handler[];
  /** Closes the connection, if there is one. */
  close(): Promise<void>;
}

/** Defines the tools of a server. Opens nothing. Fails with OPTIONS_INVALID, naming all faults. */
export function mcpTools<const Tools extends Readonly<Record<string, McpToolOptions>>>(
  server: string,
  options: McpOptions<Tools>,
): McpTools<keyof Tools & string> {
  const faults = new OptionFaults(`mcpTools "${server}"`);
  faults.name(server);
  faults.unknownNames(options, ['connect', 'tools', 'limits', 'effect', 'timeout', 'retry']);
  if (typeof options.connect !== 'function') faults.add('connect must be a function');
  const { limits, effect = 'external', timeout, retry } = options;
  const connection = new Connection(() => options.connect());
  const made = Object.entries(options.tools).map(([name, tool]) => {
    const own = tool.effect ?? effect;
    const defined = capability(`${server}.${name}`, {
      effect: own,
      retry: retry ?? (own === 'external' ? { attempts: 1 } : {}),
      ...(limits === undefined ? {} : { limits }),
      ...(timeout === undefined ? {} : { timeout }),
    });
    const handler = defined.implement((input, context) => connection.call(name, input, context));
    return { name, defined, handler, tool: capabilityTool(defined, tool.description ?? null, tool.input) };
  });
  faults.throwIfAny();
  const of = <T>(value: (one: (typeof made)[number]) => T): { readonly [Name in keyof Tools & string]: T } =>
    Object.fromEntries(made.map((one) => [one.name, value(one)])) as { readonly [Name in keyof Tools & string]: T };
  return {
    tools: of(({ tool }) => tool),
    capabilities: of(({ defined }) => defined),
    handlers: made.map(({ handler }) => handler),
    close: () => connection.close(),
  };
}

/** The one connection of this process. */
class Connection {
  readonly #connect: () => McpClient | Promise<McpClient>;
  #client: Promise<McpClient> | null = null;

  constructor(connect: () => McpClient | Promise<McpClient>) {
    this.#connect = connect;
  }

  async call(name: string, input: unknown, context: HandlerContext): Promise<unknown> {
    const opening = this.#opened();
    const client = await opening;
    let result: unknown;
    try {
      result = await asked(client, name, input, context);
    } catch (error) {
      const failed = mcpError(error);
      // The next call finds out whether there is another.
      if (failed.isBroken && this.#client === opening) await this.close();
      throw failed.error;
    }
    return readResult(name, result);
  }

  async close(): Promise<void> {
    const open = this.#client;
    this.#client = null;
    try {
      await (await open)?.close?.();
    } catch {
      // One that cannot be closed is gone.
    }
  }

  #opened(): Promise<McpClient> {
    if (this.#client !== null) return this.#client;
    const opened = Promise.resolve().then(this.#connect);
    this.#client = opened;
    opened.catch(() => {
      if (this.#client === opened) this.#client = null;
    });
    return opened;
  }
}

async function asked(client: McpClient, name: string, input: unknown, context: HandlerContext): Promise<unknown> {
  const { signal, idempotencyKey } = context;
  if ('callTool' in client) {
    const given = (input ?? {}) as Record<string, unknown>;
    // A server that knows the key does not do it twice.
    const params = { name, arguments: given, _meta: { 'eventspine/idempotency-key': idempotencyKey } };
    return await client.callTool(params, undefined, { signal });
  }
  const tool = (await client.tools())[name] as { readonly execute?: unknown } | undefined;
  if (typeof tool?.execute !== 'function')
    throw Object.assign(new Error(`The MCP server has no tool "${name}".`), { class: 'invalid_request' });
  const options = { toolCallId: idempotencyKey, messages: [], abortSignal: signal };
  return await (tool.execute as (input: unknown, options: object) => unknown)(input, options);
}

/** What a result says: its structured content, else its text, else its parts. Throws what the tool says has gone wrong. */
function readResult(name: string, result: unknown): unknown {
  if (typeof result !== 'object' || result === null) return result;
  const { content, structuredContent, isError } = result as Readonly<Record<string, unknown>>;
  const parts = Array.isArray(content)
    ? (content as readonly { readonly type?: unknown; readonly text?: unknown }[])
    : null;
  const isText =
    parts !== null && parts.length > 0 && parts.every(({ type, text }) => type === 'text' && typeof text === 'string');
  const text = isText ? parts.map((part) => String(part.text)).join('\n') : null;
  if (isError === true)
    throw Object.assign(new Error(text ?? `The tool "${name}" has failed.`), {
      code: 'MCP_TOOL_ERROR',
      class: 'tool_error' satisfies FailureClass,
      retryable: false,
    });
  return structuredContent ?? text ?? content ?? result;
}

/** Codes of JSON-RPC and of MCP clients, by what they say of the call. */
const classes: Readonly<Record<number, FailureClass>> = {
  [-32_700]: 'invalid_request',
  [-32_600]: 'invalid_request',
  [-32_601]: 'invalid_request',
  [-32_602]: 'invalid_request',
  [-32_603]: 'internal',
  [-32_001]: 'timeout',
  [-32_000]: 'network',
};

interface McpFailure {
  readonly error: unknown;
  /** The connection is of no more use. */
  readonly isBroken: boolean;
}

/** An error of a client with its class. One over HTTP may have the status of the answer for a code. */
function mcpError(error: unknown): McpFailure {
  if (!(error instanceof Error)) return { error, isBroken: true };
  const { code } = error as { readonly code?: unknown };
  if (typeof code !== 'number') return { error, isBroken: !('class' in error) && error.name !== 'AbortError' };
  if (code >= 400 && code <= 599) return { error: Object.assign(error, { statusCode: code }), isBroken: code === 404 };
  const kind = classes[code];
  if (kind === undefined) return { error, isBroken: false };
  return { error: Object.assign(error, { class: kind }), isBroken: kind === 'network' };
}
