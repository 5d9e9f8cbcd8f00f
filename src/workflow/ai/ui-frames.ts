/**
 * Chunks of a UI message stream as chunks of a stream of the run. A chunk that is too large for one, such as the output of a
 * tool, goes in pieces.
 */
import { limits } from '../../core/limits.js';

/** A piece of a chunk; `last` = the chunk is whole with it. */
interface Piece {
  readonly eventspine: 'piece';
  readonly text: string;
  readonly last: boolean;
}

/** Characters of a piece: each may take six bytes, escaped. */
const pieceLength = Math.floor((limits.streamChunkBytesMax - 200) / 6);

/** What is written for a chunk. */
export function framesOf(chunk: unknown): readonly unknown[] {
  const text = JSON.stringify(chunk);
  if (text === undefined) return [];
  if (text.length <= pieceLength) return [JSON.parse(text)];
  const pieces: Piece[] = [];
  for (let at = 0; at < text.length; at += pieceLength) {
    const last = at + pieceLength >= text.length;
    pieces.push({ eventspine: 'piece', text: text.slice(at, at + pieceLength), last });
  }
  return pieces;
}

/** Puts chunks together again. */
export class FrameReader {
  #text = '';

  /** The chunk that is whole with this frame; undefined = it is not whole yet. */
  read(frame: unknown): unknown {
    if (!isPiece(frame)) return frame;
    this.#text += frame.text;
    if (!frame.last) return undefined;
    const text = this.#text;
    this.#text = '';
    return JSON.parse(text);
  }

  /** The stream begins anew. */
  reset(): void {
    this.#text = '';
  }
}

function isPiece(frame: unknown): frame is Piece {
  return typeof frame === 'object' && frame !== null && 'eventspine' in frame && frame.eventspine === 'piece';
}
