/**
 * How many times slower than Node the engine is that runs the suites: where very many cases are tried, as many times
 * fewer are. Another engine has a file of its own in place of this one.
 */
export const SLOWNESS: number = 1;
