/**
 * Mail: messages to agents and the answers to them. An agent key is a run that takes one message at a time; its messages
 * are signals of one name, so that they are kept, ordered and given out like all signals.
 *
 * Invariant: a run that serves an agent receives a message one time, and nobody but the run whose it is takes it.
 */
import type { Failure } from '../failure.js';

/** The signal that every message of an agent is. No signal of a user begins with a colon. */
export const mailSignal = ':mail';

/** Which agent key a run stands for. */
export interface AgentIdentity {
  readonly key: string;
  /** Counts the runs of the key from 1. */
  readonly generation: number;
  /** Offset of the last message taken from each partition, by `topic/partition`. */
  readonly offsets: Readonly<Record<string, number>>;
}

/** What a message is, beside its data. */
export interface Mail {
  readonly type: string;
  readonly from: MailSource;
}

export type MailSource =
  /** An event of a topic that the agent is for. */
  | {
      readonly kind: 'topic';
      readonly partition: string;
      readonly offset: number;
      /** Id of the schema that it was written under. Absent = none, or the schema has no versions. */
      readonly schema?: string;
    }
  /** Another run; `reply` is the signal by which it hears the answer, null = it asks for none. */
  | { readonly kind: 'run'; readonly run: string; readonly reply: string | null }
  /** Somebody outside; the answer is kept for whoever asks for it. */
  | { readonly kind: 'caller'; readonly reply: boolean };

/** Where a run sends something. */
export type SendTarget =
  /** `reply`: as in `MailSource`. */
  | {
      readonly kind: 'agent';
      readonly agent: string;
      readonly key: string;
      readonly type: string;
      readonly reply: string | null;
    }
  /** The answer to a run that has asked. `failure`: why there is none. */
  | { readonly kind: 'run'; readonly run: string; readonly name: string; readonly failure: Failure | null }
  /** The answer to a message from outside; `id` is that of the message. */
  | { readonly kind: 'caller'; readonly id: string; readonly failure: Failure | null };

const sendPrefix = ':send:';
const sendDigits = 8;

/** The timer that stands for a message on its way, by the event that has it: in the order of their names they are sent. */
export function sendTimer(seq: number): string {
  return sendPrefix + String(seq).padStart(sendDigits, '0');
}

/** `seq` of the `message.sent` that the timer stands for; null = it is another timer. */
export function seqOfSendTimer(name: string): number | null {
  return name.startsWith(sendPrefix) ? Number(name.slice(sendPrefix.length)) : null;
}

/** Space of the runs that agents are at, one entry for each key. */
export function agentSpace(agent: string): string {
  return `agent:${agent}`;
}

/** What an entry of `agentSpace` holds. */
export interface AgentAddress {
  readonly run: string;
  readonly generation: number;
}

/** Space of the answers to messages from outside, by agent, key and message. */
export const answerSpace = 'answer';

export function answerKey(agent: string, key: string, id: string): string {
  return JSON.stringify([agent, key, id]);
}

/** What an entry of `answerSpace` holds: where the answer is recorded. */
export interface AnswerAddress {
  readonly run: string;
  readonly seq: number;
}

/** The step by which an agent handles its nth message; its result is the state of the agent afterwards. */
export const handleStep = 'handle';

export function isHandlePath(path: string): boolean {
  return path.startsWith(`${handleStep}:`) && !path.includes('/');
}
