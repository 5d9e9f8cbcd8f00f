/** Answers of models that are kept: shown, and dropped by operators. */
import type { CacheCleared, CacheView } from '../../protocol/http.js';
import { json } from '../answer.js';
import type { HandlerContext, Handlers } from './context.js';

export function cacheHandlers({ engine }: HandlerContext): Handlers<'readCache' | 'clearCache'> {
  return {
    readCache: async ({ tenant }) => json(200, (await engine.readCache(tenant)) satisfies CacheView),
    clearCache: async ({ tenant, query }) => {
      const cleared: CacheCleared = { cleared: await engine.clearCache(tenant, query.text('model') ?? null) };
      return json(200, cleared);
    },
  };
}
