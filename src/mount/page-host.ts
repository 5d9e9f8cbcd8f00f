/** What a mount needs of a spine. */
import type { Mountable, PagesOptions } from '../spine/index.js';

/** Any `Spine` is one, whatever its app. */
export interface PageHost {
  pages(options: PagesOptions): Mountable;
}
