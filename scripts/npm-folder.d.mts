/** Types of `npm-folder.mjs`. */

export function npmFolder(cacheName: string, packages: readonly string[]): string;
