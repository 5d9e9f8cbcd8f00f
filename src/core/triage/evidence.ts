/**
 * Weighs what the rules find in a failure: codes, words, status and source, each as a number for each class (nats, as in a
 * log-linear model). Sources that say the same do not add up in full, since one message often says one thing three times.
 */
import { failureClasses, type FailureClass } from '../failure.js';
import { codeEvidence } from './codes.js';
import { concepts } from './concepts/concepts.js';
import type { FailureSource, Reading } from './reading.js';
import type { Treatment } from './remedies.js';

/** What speaks for a class. */
export interface ClassEvidence {
  /** Sum of what speaks for and against the class. */
  score: number;
  /** Weight of the strongest code or concept for it; 0 = only status and source speak. */
  strongest: number;
  /** What that says. */
  says: string;
  /** What to do, where the strongest concept says so. */
  treatment: Treatment | null;
}

/** Evidence for each class. */
export type Evidence = Readonly<Record<FailureClass, Readonly<ClassEvidence>>>;

/** How much of a further rule for the same class counts. */
const repeatedShare = 0.3;

/** Without any evidence nothing can be told. */
const unknownBase = 1;

type Prior = Partial<Record<FailureClass, number>>;

/** What a status says before anything is read. Providers use 400, 403, 404, 429 and 500 for whatever they like. */
const statusPriors: Readonly<Record<number, Prior>> = {
  400: { invalid_request: 2, context_length_exceeded: 0.4, content_filtered: 0.3 },
  401: { auth: 4 },
  402: { quota_exhausted: 4 },
  403: { permission: 2.4, auth: 0.8, quota_exhausted: 0.6 },
  404: { model_not_found: 2.6, invalid_request: 0.6 },
  405: { invalid_request: 2.5 },
  406: { invalid_request: 2.5 },
  408: { timeout: 3.5 },
  409: { invalid_request: 1.2, dependency: 0.8 },
  410: { model_not_found: 3 },
  412: { invalid_request: 2 },
  413: { payload_too_large: 3.4, context_length_exceeded: 1 },
  414: { payload_too_large: 3 },
  415: { invalid_request: 2.5 },
  422: { invalid_request: 2.6, invalid_output: 0.4 },
  424: { internal: 1.6, dependency: 1 },
  425: { overloaded: 1.5 },
  429: { rate_limited: 3, quota_exhausted: 0.8, overloaded: 0.8 },
  451: { permission: 1.6, content_filtered: 1.6 },
  498: { auth: 3 },
  499: { cancelled: 4 },
  500: { internal: 3 },
  501: { invalid_request: 2 },
  502: { internal: 2.4, overloaded: 0.8, network: 0.8 },
  503: { overloaded: 3.2, internal: 0.6 },
  504: { timeout: 3.5 },
  520: { internal: 2, network: 0.6 },
  521: { overloaded: 1.5, network: 1.5 },
  522: { timeout: 2.6, network: 0.8 },
  523: { network: 2.4 },
  524: { timeout: 3.5 },
  525: { network: 3 },
  526: { network: 3 },
  529: { overloaded: 4.5 },
};

const sourcePriors: Readonly<Record<FailureSource, Prior>> = {
  // Names of databases stand in connection errors of which the words alone tell nothing else.
  store: {
    dependency: 4,
    network: -3,
    timeout: -3,
    overloaded: -2.5,
    permission: -1,
    rate_limited: -1,
    internal: -2.5,
  },
  bus: { poison: 4, dependency: 1, invalid_output: -3, invalid_request: -2, auth: -1, tool_error: -1 },
  tool: { tool_error: 2.4, permission: -1, model_not_found: -1, invalid_request: -1, internal: -1 },
  parser: { invalid_output: 1.4, invalid_request: -0.4 },
  http: { network: 0.8 },
  model: {},
};

/** Weighs a reading. */
export function weigh(reading: Reading): Evidence {
  const evidence = {} as Record<FailureClass, ClassEvidence>;
  for (const label of failureClasses) evidence[label] = { score: 0, strongest: 0, says: '', treatment: null };
  evidence.unknown.score = unknownBase;

  for (const code of reading.codes) {
    const found = codeEvidence.get(code);
    if (found !== undefined) count(evidence[found.label], found.weight, `the code ${code}`, null);
  }
  for (const { label, weight, expression, says, against, treatment } of concepts()) {
    if (!expression.test(reading.words)) continue;
    count(evidence[label], weight, says, treatment ?? null);
    if (against !== undefined) add(evidence, against, -1);
  }
  const status = reading.status ?? reading.statedStatus;
  if (status !== null) add(evidence, statusPriors[status] ?? priorOfHundred(status), 1);
  if (reading.statedStatus !== null && reading.statedStatus !== status) {
    // A gateway has put its own status over that of the provider.
    add(evidence, statusPriors[reading.statedStatus] ?? {}, 1);
  }
  if (reading.source !== null) add(evidence, sourcePriors[reading.source], 1);
  return evidence;
}

function count(of: ClassEvidence, weight: number, says: string, treatment: Treatment | null): void {
  if (weight > of.strongest) {
    of.score += weight - of.strongest * (1 - repeatedShare);
    of.strongest = weight;
    of.says = says;
  } else {
    of.score += weight * repeatedShare;
  }
  of.treatment ??= treatment;
}

function add(evidence: Record<FailureClass, ClassEvidence>, prior: Prior, sign: 1 | -1): void {
  for (const label of failureClasses) evidence[label].score += sign * (prior[label] ?? 0);
}

function priorOfHundred(status: number): Prior {
  if (status >= 500) return { internal: 2, overloaded: 0.4 };
  return status >= 400 ? { invalid_request: 1.8 } : {};
}
