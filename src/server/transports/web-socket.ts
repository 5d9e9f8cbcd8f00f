/** What the sockets of workers and live sockets have in common: refused upgrades, closing, and what frames hold. */
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Problem } from '../../protocol/http.js';
import { problemType } from '../../protocol/problem.js';

// Close codes of RFC 6455, section 7.4.1, and the registry for the last one.
export const closeCodes = {
  normal: 1000,
  protocolError: 1002,
  unsupportedData: 1003,
  policyViolation: 1008,
  internalError: 1011,
  restart: 1012,
} as const;

/** A reason must fit into a control frame. */
const reasonBytesMax = 120;

export function closeWith(webSocket: WebSocket, code: number, reason: string): void {
  webSocket.close(
    code,
    Buffer.from(reason)
      .subarray(0, reasonBytesMax)
      .toString()
      .replace(/\ufffd+$/, ''),
  );
}

/** Text frames come as one buffer; the library has checked their UTF-8. */
export function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

/** Answers an upgrade that is not granted, and closes. */
export function refuseUpgrade(socket: Duplex, problem: Problem): void {
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.code}\r\nConnection: close\r\nContent-Type: ${problemType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
