/** Types of `debian.mjs`, which is plain Node so that nothing needs to be compiled before it runs. */

export function debianPackage(name: string): string;
export function libraryFolders(folder: string): string[];
