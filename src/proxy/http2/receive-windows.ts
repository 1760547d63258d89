// What the peer may send: the connection's window, told anew as bytes come, and each stream's, told anew as they are taken (rule 24).
import { WINDOW_BYTES } from '../stream.js'
import type { Wire } from '../wire.js'
import { DEFAULT_WINDOW_BYTES, writeWindowUpdate } from './frames.js'
import type { StreamRecord } from './stream-record.js'

/** The connection's window does not wait for those who take, so that a stalled stream holds up no other… */
export const CONNECTION_WINDOW_BYTES = 4 << 20
/** …until so much has been taken by nobody: this bounds what one connection can make us hold. */
export const MAX_UNGRANTED_BYTES = 16 << 20

export class ReceiveWindows {
  private readonly wire: Wire
  private window = DEFAULT_WINDOW_BYTES
  private unannounced = CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES
  private ungranted = 0

  constructor(wire: Wire) {
    this.wire = wire
  }

  /** DATA of any stream came.  Returns false where it is more than the window. */
  take(bytes: number): boolean {
    this.window -= bytes
    this.unannounced += bytes
    return this.window >= 0
  }

  /** It is a stream's, and somebody's to grant. */
  takeFor(stream: StreamRecord, bytes: number): void {
    stream.receiveWindow -= bytes
    stream.ungranted += bytes
    this.ungranted += bytes
  }

  /** So many bytes of a stream have been taken: its peer may send as many more. */
  grant(stream: StreamRecord, bytes: number): void {
    const taken = Math.min(bytes, stream.ungranted)
    stream.ungranted -= taken
    this.ungranted -= taken
    stream.unannounced += taken
    if (stream.unannounced >= WINDOW_BYTES / 2 && !stream.isRemoteEnded) {
      writeWindowUpdate(this.wire, stream.id, stream.unannounced)
      stream.receiveWindow += stream.unannounced
      stream.unannounced = 0
    }
    this.announceIfDue()
  }

  /** The stream is closed: what nobody took of it is gone. */
  forget(stream: StreamRecord): void {
    this.ungranted -= stream.ungranted
    stream.ungranted = 0
    this.announceIfDue()
  }

  announceIfDue(): void {
    if (this.unannounced >= CONNECTION_WINDOW_BYTES / 2 && this.ungranted < MAX_UNGRANTED_BYTES) this.announce()
  }

  announce(): void {
    writeWindowUpdate(this.wire, 0, this.unannounced)
    this.window += this.unannounced
    this.unannounced = 0
  }
}
