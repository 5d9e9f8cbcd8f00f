/**
 * A request as handlers see it: routed, authorised, with its body read within bounds. Everything is parsed on demand,
 * so that the intake path pays only for what it uses.
 */
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Origin } from '../engine/api.js';
import { mediaType } from '../protocol/cloudevents.js';
import { parseJson } from '../protocol/json-body.js';
import { headerNames, type Route, type RouteId } from '../protocol/routes.js';
import { readTraceparent } from '../protocol/traceparent.js';
import type { Permit } from './access/gate.js';
import type { Grant } from './access/grant.js';
import type { Principal } from './options.js';
import { decodeSegment } from './transports/path-segment.js';

/** What a transport knows of a request before its body is read. */
export interface HttpHead {
  readonly method: string;
  /** Percent-encoded, without query. */
  readonly path: string;
  /** What follows the `?`; "" = none. */
  readonly query: string;
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
  /** All headers under their lower-case names. */
  headers(): Readonly<Record<string, string>>;
}

export interface ApiRequestParts {
  readonly id: RouteId;
  readonly route: Route;
  readonly segments: Readonly<Record<string, string>>;
  readonly head: HttpHead;
  readonly principal: Principal;
  readonly grant: Grant;
  readonly permit: Permit;
  readonly requestId: string;
  readonly body: Uint8Array;
}

export class ApiRequest {
  readonly principal: Principal;
  readonly grant: Grant;
  /** What the caller may do within its tenant. Lists leave out what it does not allow. */
  readonly permit: Permit;
  readonly requestId: string;
  readonly body: Uint8Array;
  readonly head: HttpHead;
  readonly #segments: Readonly<Record<string, string>>;
  readonly #query: QueryReader;
  readonly #route: Route;

  constructor(parts: ApiRequestParts) {
    this.principal = parts.principal;
    this.grant = parts.grant;
    this.permit = parts.permit;
    this.requestId = parts.requestId;
    this.body = parts.body;
    this.head = parts.head;
    this.#segments = parts.segments;
    this.#route = parts.route;
    this.#query = new QueryReader(parts.head.query, parts.route);
  }

  get tenant(): string {
    return this.principal.tenant;
  }

  get query(): QueryReader {
    return this.#query;
  }

  /** Where events caused by this request come from. Everything of one request shares its id as correlation. */
  origin(): Origin {
    return {
      tenant: this.principal.tenant,
      actor: `client:${this.principal.user}`,
      traceparent: readTraceparent(this.head.header(headerNames.traceparent)),
      correlation: this.requestId,
    };
  }

  /** A segment of the path, decoded. @throws ROUTE_NOT_FOUND where it is not UTF-8, and REQUEST_INVALID where too long */
  segment(name: string): string {
    const text = decodeSegment(this.#segments[name] ?? '');
    if (text === null) throw new SpineError('ROUTE_NOT_FOUND', { path: this.head.path });
    if (text.length > limits.keyLengthMax) throw invalid(`${name} is longer than ${limits.keyLengthMax} characters`);
    return text;
  }

  header(name: string): string | undefined {
    return this.head.header(name);
  }

  /** The body as JSON; undefined where it is empty and may be. @throws CONTENT_TYPE_UNSUPPORTED, BODY_NOT_JSON, VALUE_UNSTORABLE */
  json(): unknown {
    if (this.body.length === 0 && this.#route.body?.required === false) return undefined;
    this.requireType('application/json');
    return parseJson(this.body);
  }

  /** @throws CONTENT_TYPE_UNSUPPORTED */
  requireType(expected: string): void {
    const contentType = this.head.header('content-type');
    // The first comparison is what nearly every client sends, and saves the parsing on the intake path.
    if (contentType === expected || mediaType(contentType) === expected) return;
    throw new SpineError('CONTENT_TYPE_UNSUPPORTED', { contentType: contentType ?? '', expected });
  }
}

/** The query of a request, against the parameters that its route declares. */
export class QueryReader {
  readonly #parameters: URLSearchParams | null;

  /** @throws REQUEST_INVALID for parameters that the route does not know: a typing error must not widen a filter */
  constructor(query: string, route: Route) {
    this.#parameters = query === '' ? null : new URLSearchParams(query);
    if (this.#parameters === null) return;
    const known = route.query.map((parameter) => parameter.name);
    const faults = [...new Set(this.#parameters.keys())]
      .filter((name) => !known.includes(name))
      .map(
        (name) =>
          `there is no parameter "${name.slice(0, 40)}"${known.length === 0 ? '' : `; there are ${known.join(', ')}`}`,
      );
    if (faults.length > 0) throw new SpineError('REQUEST_INVALID', { faults });
  }

  get isEmpty(): boolean {
    return this.#parameters === null;
  }

  text(name: string): string | undefined {
    return this.#parameters?.get(name) ?? undefined;
  }

  texts(name: string): string[] {
    return this.#parameters?.getAll(name) ?? [];
  }

  /** A whole number within bounds. @throws REQUEST_INVALID */
  integer(name: string, bounds: { readonly min: number; readonly max: number }): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= bounds.min && value <= bounds.max)) {
      throw invalid(`${name} is not a whole number between ${bounds.min} and ${bounds.max}`);
    }
    return value;
  }

  /** An instant, epoch ms. @throws REQUEST_INVALID */
  instant(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : instantOf(name, text);
  }

  /** A whole number from 0 on that counts something, or an instant, epoch ms. @throws REQUEST_INVALID */
  moment(name: string, max: number): { readonly number: number } | { readonly instant: number } | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (/^\d{1,15}$/.test(text)) return { number: this.integer(name, { min: 0, max }) ?? 0 };
    return { instant: instantOf(name, text) };
  }

  /** One of a closed set. @throws REQUEST_INVALID */
  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw invalid(`${name} is none of ${choices.join(', ')}`);
    return found;
  }

  /** Page size. */
  limit(): number {
    return this.integer('limit', { min: 1, max: limits.pageItemsMax }) ?? limits.pageItemsDefault;
  }
}

/** An instant as it is written in requests, epoch ms. @throws REQUEST_INVALID */
export function instantOf(name: string, given: unknown): number {
  const isInstant = typeof given === 'string' && /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2}))?$/.test(given);
  const value = isInstant ? Date.parse(given) : Number.NaN;
  if (Number.isNaN(value)) throw invalid(`${name} is not an instant like 2026-01-31T12:00:00Z`);
  return value;
}

export function invalid(fault: string): SpineError<'REQUEST_INVALID'> {
  return new SpineError('REQUEST_INVALID', { faults: [fault] });
}
