/**
 * Reads a failure as it was logged into the parts that the rules and the model look at: the text in plain words, the
 * codes in it, the status that it states, and where it comes from. Texts are JSON, Python dicts, HTML or prose, often one
 * inside of the other and cut off, so nothing is parsed: names and values are found where they stand.
 *
 * Invariant: total, and linear in a text that is cut to a bound; every expression here is.
 */
import { limits } from '../limits.js';

/** What a failure may come from, as far as it matters here. `model` is any endpoint of models, direct or through a gateway. */
export const failureSources = ['model', 'http', 'tool', 'parser', 'store', 'bus'] as const;
/** What a failure comes from, where the caller knows. */
export type FailureSource = (typeof failureSources)[number];

/** What is known of a failure. Only `text` must be there. */
export interface FailureInput {
  /** The message as logged or received: prose, a body, a stack. Only its first and last thousands of characters are read. */
  readonly text: string;
  /** Status of the HTTP answer. It is evidence and not the answer: providers use them as they like. */
  readonly httpStatus?: number | null;
  /** Who answered, in any spelling: `openai`, `postgres`, `kafka`. A name that is not known does no harm. */
  readonly provider?: string | null;
  /** Code or name of the error object: `ECONNRESET`, `AI_APICallError`, `insufficient_quota`. */
  readonly codes?: readonly string[];
  /** Headers of the answer, names in lower case. `retry-after` and `retry-after-ms` are read. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What was being done, where the caller knows; otherwise told from `provider` and the text. */
  readonly source?: FailureSource;
}

/** A failure, read. */
export interface Reading {
  /** The text within its bound, in Unicode form NFKC. */
  readonly text: string;
  /** The text in lower case, names taken apart into words (`RateLimitError` is `rate limit error`), quotes left out. */
  readonly words: string;
  /** Codes and names of errors, squeezed: `RateLimitError` and `rate_limit_error` are both `ratelimit`. */
  readonly codes: readonly string[];
  /** The status that was given. */
  readonly status: number | null;
  /** The status that the text states. */
  readonly statedStatus: number | null;
  readonly source: FailureSource | null;
  /** True where there is a structure in the text: JSON, a Python dict or the like. */
  readonly structured: boolean;
}

/** Reads a failure. Never throws: what is not of its type counts as absent. */
export function readFailure(input: FailureInput): Reading {
  const given = fieldOf(input, 'text');
  const text = bounded(typeof given === 'string' ? given : '');
  const codes = textsOf(fieldOf(input, 'codes'));
  const provider = fieldOf(input, 'provider');
  return {
    text,
    words: wordsOf([text, ...codes].join(' \n')),
    codes: codesOf(text, codes),
    status: statusOf(fieldOf(input, 'httpStatus')),
    statedStatus: statedStatusOf(text),
    source:
      failureSources.find((known) => known === fieldOf(input, 'source')) ??
      sourceOf(typeof provider === 'string' ? provider : ''),
    structured: /[{[]\s{0,4}\\?["']?[\w-]{1,40}\\?["']?\s{0,4}[:,]/.test(text),
  };
}

/** A field of whatever was given; a getter that throws counts as absent. */
export function fieldOf(given: unknown, name: string): unknown {
  if (typeof given !== 'object' || given === null) return undefined;
  try {
    return (given as Readonly<Record<string, unknown>>)[name];
  } catch {
    return undefined;
  }
}

function textsOf(codes: unknown): string[] {
  if (!Array.isArray(codes)) return [];
  const texts = codes.slice(0, codesMax).filter((code): code is string => typeof code === 'string');
  return texts.map((code) => code.slice(0, codeLengthMax));
}

/** A message says what it has to say at its beginning, a Python traceback at its end. */
function bounded(text: string): string {
  const { triageHeadLengthMax: head, triageTailLengthMax: tail } = limits;
  const cut = text.length <= head + tail ? text : `${text.slice(0, head)} ... ${text.slice(-tail)}`;
  return cut.normalize('NFKC').slice(0, 2 * (head + tail));
}

function wordsOf(text: string): string {
  return (
    text
      .replace(/\\u[\da-f]{4}|\\[nrt]/gi, ' ')
      .replace(/["'`\u2018\u2019\u201c\u201d\\]/g, '')
      .replace(/(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, ' ')
      .replace(/[\s_-]+/g, ' ')
      // No word is as long as this; keys, hashes and images are. Cut, they also keep `\w*` in expressions short.
      .replace(/\w{48,}/g, (run) => run.slice(0, 48))
      // A point inside of a name or a number ends no sentence.
      .replace(/(?<=\S)\.(?=[^\s.])/g, '·')
      .toLowerCase()
      .trim()
  );
}

const codesMax = 40;
const codeLengthMax = 80;

/** Fields of answers and error objects whose values are codes, whatever quotes or escapes are around them. */
const codeFields =
  /\b(?:type|code|status|reason|error|kind|name|__type|error_?type|error_?code|finish_?reason|stop_?reason|block_?reason)\\{0,3}["']?\s{0,4}[:=]\s{0,4}\\{0,3}["']?([A-Za-z_][\w.-]{1,79})/gi;
/** Names of exceptions, of error numbers of the system, and codes in capitals. */
const codeNames = /\b(?:[A-Za-z]{1,60}(?:Error|Exception|Fault)|[A-Z][A-Z\d]{1,20}_[A-Z\d_]{2,60}|[A-Z]{5,30})\b/g;

function codesOf(text: string, given: readonly string[]): string[] {
  const found = new Set<string>();
  const add = (code: string): void => {
    const squeezed = squeeze(code);
    if (squeezed !== '' && found.size < codesMax) found.add(squeezed);
  };
  given.forEach(add);
  for (const [, value = ''] of text.matchAll(codeFields)) add(value);
  for (const [value] of text.matchAll(codeNames)) add(value);
  return [...found];
}

/** The one spelling of a code. */
export function squeeze(code: string): string {
  const bare = code
    .slice(0, codeLengthMax)
    .toLowerCase()
    .replace(/[^a-z\d]/g, '');
  return bare.replace(/(?:exception|error|fault)$/, '');
}

function statusOf(status: unknown): number | null {
  return typeof status === 'number' && Number.isInteger(status) && status >= 100 && status <= 599 ? status : null;
}

const statedStatuses: readonly RegExp[] = [
  /\b(?:error|status|http|response|returned)[ _-]?(?:code)?\s{0,3}(?:was |is )?[:=]?\s{0,3}\(?["']?([45]\d\d)\b/i,
  /\bHTTP\/\d(?:\.\d)?"?\s{1,3}([45]\d\d)\b/i,
  /^\W{0,4}(?:Error:?\s{1,3}|error )?\(?([45]\d\d)\b(?![.,]\d|\s{0,3}(?:tokens?|bytes|ms|s|seconds)\b)/i,
  /["'](?:status|code|statusCode|status_code|error_code)["']\s{0,3}:\s{0,3}["']?([45]\d\d)\b/,
  /(?:^|[^\d.])([45]\d\d)\s{1,2}(?:Bad Request|Unauthorized|Payment Required|Forbidden|Not Found|Request Timeout|Conflict|Gone|Payload Too Large|Unprocessable|Too Many Requests|Internal Server Error|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out|UNAVAILABLE|status code)/i,
];

function statedStatusOf(text: string): number | null {
  for (const expression of statedStatuses) {
    const found = expression.exec(text)?.[1];
    if (found !== undefined) return Number(found);
  }
  return null;
}

const sources: readonly (readonly [FailureSource, RegExp])[] = [
  [
    'store',
    /postgres|\bpg\b|pgvector|mysql|maria|sqlite|redis|valkey|mongo|elastic|opensearch|qdrant|pinecone|weaviate|chroma|milvus|dynamo|cassandra|clickhouse|memcache|supabase|neo4j|cockroach|mssql|sql ?server|duckdb|prisma|database|\bdb\b|cache|vector|turso|libsql|planetscale|neon\b|firestore|lancedb|faiss|oracle ?db|scylla|couch|snowflake|bigquery|cosmos|etcd|rds\b|aurora|timescale|typesense|meilisearch|vespa|upstash/,
  ],
  [
    'bus',
    /kafka|sqs|\bsns\b|rabbit|amqp|\bnats|pulsar|kinesis|pub ?sub|eventbridge|event ?(?:hub|grid)|service ?bus|mqtt|redpanda|queue|\bevents?\b|webhook|avro|schema.?registry|debezium|cloudevents|confluent|activemq|stomp|event ?hubs?|dead ?letter/,
  ],
  [
    'tool',
    /\bmcp\b|shell|\bbash\b|\btools?\b|\bagents?\b|\bfiles?\b|file ?system|browser|terminal|\bexec\b|playwright|puppeteer|sandbox|subprocess|\bgit\b/,
  ],
  [
    'parser',
    /langchain|llama.?index|pydantic|instructor|\bzod\b|guardrails|outlines|parser|\bdspy\b|ai.sdk|\bschema\b|\bjson\b/,
  ],
  [
    'http',
    /^(?:https?|fetch|network|net|axios|undici|node|requests|curl|tls|ssl|dns|tcp|websocket|grpc|httpx|aiohttp|got)$/,
  ],
];

function sourceOf(provider: string): FailureSource | null {
  const name = provider.slice(0, codeLengthMax).toLowerCase().replaceAll('_', ' ');
  if (name === '' || /^(?:any|unknown|other|none|null|local|n\/a)$/.test(name)) return null;
  return sources.find(([, expression]) => expression.test(name))?.[0] ?? 'model';
}
