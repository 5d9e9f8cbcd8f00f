/** The in-memory store on this machine's clock, for tests and for trying things out. */
import { nodePorts } from '../runtime/index.js';
import { memory as memoryOn } from '../store/memory.js';
import type { StoreFactory } from '../store/factory.js';

/** A store that lives as long as this value: nothing is written to disk, and a 202 is no more durable than the process. */
export function memory(): StoreFactory {
  return memoryOn({ clock: nodePorts.clock });
}
