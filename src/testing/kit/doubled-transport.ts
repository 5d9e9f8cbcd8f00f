/** A transport on which submissions arrive twice, as after a lost answer: servers must take each of them once. */
import type { WorkerTransport } from '../../worker/index.js';

/** `transport`, with each submission for which `twice` says so sent two times. */
export function doubled(transport: WorkerTransport, twice: () => boolean): WorkerTransport {
  return {
    ...transport,
    open(onMessage, onClose) {
      const connection = transport.open(onMessage, onClose);
      return {
        ...connection,
        send(message) {
          connection.send(message);
          if (message.t === 'submit' && twice()) connection.send(message);
        },
      };
    },
  };
}
