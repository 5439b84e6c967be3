// What the stored tokens and the cases have in common.

/** The time of the function's clock, in seconds. fixed.c sets it. */
export const NOW = 1_800_000_000;
/** The secret of the LiveKit server. */
export const SECRET = 'the secret of the LiveKit server in the benchmarks';
/** The secret that an issuer shares with the function. */
export const SHARED_SECRET = 'the secret of an issuer in the benchmarks';
export const ISSUER = 'https://login.example.com/';
export const SHARED_ISSUER = 'https://shared.example.com/';
/** One of twenty issuers. */
export const issuerNumber = (number) => `https://login-${number}.example.com/`;
