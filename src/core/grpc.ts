// What a proxy must know of gRPC: its content type, its status numbers, its message escapes and its deadlines.

export const GRPC = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const

/** Is this the content type of a gRPC message stream?  gRPC-Web is not: its framing differs.  Source: PROTOCOL-HTTP2.md. */
export function isGrpcContentType(value: string | undefined): boolean {
  // What nearly every call says needs no look inside.
  return value === 'application/grpc' || (value !== undefined && CONTENT_TYPE.test(value))
}

const CONTENT_TYPE = /^application\/grpc(?:$|[+;])/i

/** The status of a call whose upstream answered plain HTTP.  http: 200-599.  Source: http-grpc-status-mapping.md. */
export function grpcFromHttp(http: number): number {
  switch (http) {
    case 400:
    case 431:
      return GRPC.INTERNAL
    case 401:
      return GRPC.UNAUTHENTICATED
    case 403:
      return GRPC.PERMISSION_DENIED
    case 404:
      return GRPC.UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return GRPC.UNAVAILABLE
    default:
      return GRPC.UNKNOWN
  }
}

/** The status of a call whose upstream reset its stream.  code: of RST_STREAM.  Source: PROTOCOL-HTTP2.md, "Errors". */
export function grpcFromReset(code: number): number {
  switch (code) {
    case 0x7:
      return GRPC.UNAVAILABLE
    case 0x8:
      return GRPC.CANCELLED
    case 0xb:
      return GRPC.RESOURCE_EXHAUSTED
    case 0xc:
      return GRPC.PERMISSION_DENIED
    default:
      return GRPC.INTERNAL
  }
}

/** Escapes a text for `grpc-message`: the UTF-8 form, every byte outside 0x20-0x24 and 0x26-0x7E as %XX. */
export function encodeGrpcMessage(text: string): string {
  if (PLAIN.test(text)) return text
  let out = ''
  for (const char of text) {
    if (PLAIN.test(char)) out += char
    else for (const byte of utf8(char.codePointAt(0)!)) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}

const PLAIN = /^[\x20-\x24\x26-\x7e]*$/

/** The UTF-8 bytes of one code point; a lone surrogate becomes U+FFFD, as in every encoder. */
function utf8(point: number): number[] {
  if (point < 0x80) return [point]
  if (point < 0x800) return [0xc0 | (point >> 6), tail(point, 0)]
  const sound = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point
  if (sound < 0x10000) return [0xe0 | (sound >> 12), tail(sound, 6), tail(sound, 0)]
  return [0xf0 | (sound >> 18), tail(sound, 12), tail(sound, 6), tail(sound, 0)]
}

function tail(point: number, shift: number): number {
  return 0x80 | ((point >> shift) & 0x3f)
}

/** Reads a `grpc-timeout`.  Returns ms (a fraction for micro- and nanoseconds), or null where the value is malformed or absent:
 *  such a value is passed on and not enforced (rule 17). */
export function parseGrpcTimeout(value: string | undefined): number | null {
  const match = value === undefined ? null : TIMEOUT.exec(value)
  return match === null ? null : Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
}

const TIMEOUT = /^([0-9]{1,8})([HMSmun])$/
const UNIT_MS = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 } as const

/** Writes a `grpc-timeout` that is never longer than leftMs (>= 0), in the finest unit whose number has at most 8 digits. */
export function formatGrpcTimeout(leftMs: number): string {
  for (const unit of ['n', 'u', 'm', 'S', 'M', 'H'] as const) {
    // The small addend undoes the rounding of the division (3 ms / 1e-3 is 2999.9999999999995); it is far below one unit.
    const count = Math.floor(leftMs / UNIT_MS[unit] + 1e-6)
    if (count <= 99_999_999) return `${count}${unit}`
  }
  return '99999999H'
}
