// The bounds of a head, and of trailers, whatever the protocol and whoever sends them.

export interface HeadLimits {
  /** Names and values, decoded, and 32 bytes more per field as HPACK counts them (RFC 9113 6.5.2): one limit for both protocols. */
  maxHeaderBytes: number
  maxHeaderFields: number
}
