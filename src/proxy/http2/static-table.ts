// The 61 fields both ends know from the start (RFC 7541 Appendix A).

// biome-ignore format: one field to a line would be a page
const FIELDS: readonly (readonly [name: string, ...values: string[]])[] = [
  [':authority', ''], [':method', 'GET', 'POST'], [':path', '/', '/index.html'], [':scheme', 'http', 'https'],
  [':status', '200', '204', '206', '304', '400', '404', '500'], ['accept-charset', ''], ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''], ['accept-ranges', ''], ['accept', ''], ['access-control-allow-origin', ''], ['age', ''], ['allow', ''],
  ['authorization', ''], ['cache-control', ''], ['content-disposition', ''], ['content-encoding', ''], ['content-language', ''],
  ['content-length', ''], ['content-location', ''], ['content-range', ''], ['content-type', ''], ['cookie', ''], ['date', ''], ['etag', ''],
  ['expect', ''], ['expires', ''], ['from', ''], ['host', ''], ['if-match', ''], ['if-modified-since', ''], ['if-none-match', ''],
  ['if-range', ''], ['if-unmodified-since', ''], ['last-modified', ''], ['link', ''], ['location', ''], ['max-forwards', ''],
  ['proxy-authenticate', ''], ['proxy-authorization', ''], ['range', ''], ['referer', ''], ['refresh', ''], ['retry-after', ''],
  ['server', ''], ['set-cookie', ''], ['strict-transport-security', ''], ['transfer-encoding', ''], ['user-agent', ''], ['vary', ''],
  ['via', ''], ['www-authenticate', ''],
]

/** Name and value by index; index 0 is nobody's. */
export const STATIC_NAMES: readonly string[] = ['', ...FIELDS.flatMap(([name, ...values]) => values.map(() => name))]
export const STATIC_VALUES: readonly string[] = ['', ...FIELDS.flatMap(([, ...values]) => values)]
/** The highest index of the static table. */
export const STATIC_COUNT = STATIC_NAMES.length - 1

/** What a field costs beyond its bytes (RFC 7541 4.1, RFC 9113 6.5.2). */
export const FIELD_OVERHEAD = 32

/** By name: its first index, and the values that stand there and at the indexes after it. */
export const STATIC_BY_NAME: ReadonlyMap<string, { index: number; values: readonly string[] }> = new Map(
  FIELDS.map(([name, ...values]) => [name, { index: STATIC_NAMES.indexOf(name), values }]),
)
