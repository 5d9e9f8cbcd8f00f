/**
 * Transitions as text, for the outbox. Another version of this program may read it than has written it, so whatever is
 * changed here takes a new number of the format; an entry of a format that is not known is left to those who know it.
 */
import type { StoredPayload, Transition } from '../../store/index.js';

/** Number of the format that is written, and the highest that is read. */
export const transitionFormat = 1;

type Written<T extends { readonly payload: StoredPayload | null }> = Omit<T, 'payload'> & {
  readonly payload: WrittenPayload | null;
};
type WrittenPayload =
  | { readonly salt: string; readonly text: string }
  | { readonly salt: string; readonly blob: string };

/** A transition whose bytes are in base64. */
interface WrittenTransition extends Omit<Transition, 'events' | 'publishes' | 'blobs'> {
  readonly events?: readonly Written<NonNullable<Transition['events']>[number]>[];
  readonly publishes?: readonly Written<NonNullable<Transition['publishes']>[number]>[];
  readonly blobs?: readonly { readonly hash: string; readonly bytes: string }[];
}

/** JSON, which escapes NUL and lone surrogates, so that it is a text that every column takes. */
export function writeTransition({ events, publishes, blobs, ...rest }: Transition): string {
  const written: WrittenTransition = {
    ...rest,
    ...(events === undefined ? {} : { events: events.map(write) }),
    ...(publishes === undefined ? {} : { publishes: publishes.map(write) }),
    ...(blobs === undefined ? {} : { blobs: blobs.map(({ hash, bytes }) => ({ hash, bytes: base64(bytes) })) }),
  };
  return JSON.stringify(written);
}

/** The transition of which `writeTransition` has made the text. */
export function readTransition(text: string): Transition {
  const { events, publishes, blobs, ...rest } = JSON.parse(text) as WrittenTransition;
  return {
    ...rest,
    ...(events === undefined ? {} : { events: events.map(read) }),
    ...(publishes === undefined ? {} : { publishes: publishes.map(read) }),
    ...(blobs === undefined ? {} : { blobs: blobs.map(({ hash, bytes }) => ({ hash, bytes: bytesOf(bytes) })) }),
  };
}

function write<T extends { readonly payload: StoredPayload | null }>(event: T): Written<T> {
  const { payload } = event;
  return { ...event, payload: payload === null ? null : { ...payload, salt: base64(payload.salt) } };
}

function read<T extends { readonly payload: WrittenPayload | null }>(
  event: T,
): Omit<T, 'payload'> & { readonly payload: StoredPayload | null } {
  const { payload } = event;
  return { ...event, payload: payload === null ? null : { ...payload, salt: bytesOf(payload.salt) } };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
