/** test/support/slowness.ts for XS. A prime, so that what is left of nested loops is spread over all of them. */
export const SLOWNESS = 101;
