// What carries the bytes of a wire: a socket of ours (socket-carrier.ts), or a duplex of Node's (duplex-carrier.ts), TLS above all.

export interface Carrier {
  /** Takes bytes[0, length).  Returns whether they have left: else the buffer is the carrier's. */
  write(bytes: Buffer, length: number): boolean
  /** Taken and not left, in bytes. */
  readonly pendingBytes: number
  pause(): void
  resume(): void
  /** Sends what is left, then ends our direction. */
  end(): void
  /** Gone at once. */
  destroy(): void
  /** Gone at once, and the peer sees a reset. */
  reset(): void
}

/** The wire, as its carrier sees it. */
export interface Carried {
  /** Bytes came; they are valid during the call only. */
  data(chunk: Buffer, start: number, end: number): void
  /** The peer has ended its direction. */
  peerEnded(): void
  /** All that was taken has left. */
  drained(): void
  /** Gone, and never from within a call to the carrier.  error: why, null where it was closed in order. */
  closed(error: Error | null): void
}
