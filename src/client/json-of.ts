/**
 * What becomes of a type on its way through JSON. Results are handed to HTTP clients as plain JSON, so a `Date` that a
 * workflow returned is a string here; the types say so instead of leaving it to be found out at run time.
 */

/** The plain-JSON view of `T`, as `core/codec` writes it for people and HTTP clients. */
export type JsonOf<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null
    ? T
    : T extends undefined
      ? null
      : T extends Date | bigint | Uint8Array | ArrayBuffer
        ? string
        : T extends Error | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
          ? unknown
          : T extends (...parameters: never[]) => unknown
            ? never
            : T extends readonly unknown[]
              ? { [I in keyof T]: JsonOf<T[I]> }
              : T extends object
                ? { [K in keyof T]: JsonOf<Exclude<T[K], undefined>> | Extract<T[K], undefined> }
                : never;
