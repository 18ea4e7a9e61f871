/** Types that are numbers or strings at run time and may not be mixed up at compile time. */

declare const tag: unique symbol;

/** `T`, told apart from every other `T` by its name. A brand is made in one place: the function that shares its name. */
export type Brand<T, Name extends string> = T & { readonly [tag]: Name };
