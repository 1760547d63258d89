// The peer's SETTINGS (RFC 9113 6.5.2, RFC 8441 3): read, checked and kept.
import { CODE, MAX_FRAME_BYTES, MAX_WINDOW, SETTING, uint32At } from './frames.js'

const MAX_FRAME_LIMIT = 16_777_215

export class PeerSettings {
  /** HPACK's table; -1: not told. */
  tableBytes = -1
  initialWindow = -1
  maxStreams = Number.POSITIVE_INFINITY
  allowsConnectProtocol = false

  /** Takes a SETTINGS payload, a multiple of six bytes.  mayPush: the peer is a client.  Returns an error code; NO_ERROR where all is well.
   *  tableBytes and initialWindow are -1 afterwards where this payload did not name them. */
  read(chunk: Buffer, start: number, end: number, peer: 'client' | 'service'): number {
    this.tableBytes = -1
    this.initialWindow = -1
    for (let at = start; at < end; at += 6) {
      const code = this.set((chunk[at]! << 8) | chunk[at + 1]!, uint32At(chunk, at + 2), peer)
      if (code !== CODE.NO_ERROR) return code
    }
    return CODE.NO_ERROR
  }

  private set(setting: number, value: number, peer: 'client' | 'service'): number {
    switch (setting) {
      case SETTING.HEADER_TABLE_SIZE:
        this.tableBytes = value
        return CODE.NO_ERROR
      case SETTING.ENABLE_PUSH:
        return value > 1 || (value === 1 && peer === 'service') ? CODE.PROTOCOL_ERROR : CODE.NO_ERROR
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.maxStreams = value
        return CODE.NO_ERROR
      case SETTING.INITIAL_WINDOW_SIZE:
        this.initialWindow = value
        return value > MAX_WINDOW ? CODE.FLOW_CONTROL_ERROR : CODE.NO_ERROR
      case SETTING.MAX_FRAME_SIZE:
        // Ours never need more than what every peer takes.
        return value < MAX_FRAME_BYTES || value > MAX_FRAME_LIMIT ? CODE.PROTOCOL_ERROR : CODE.NO_ERROR
      case SETTING.ENABLE_CONNECT_PROTOCOL:
        this.allowsConnectProtocol = value === 1
        return value > 1 ? CODE.PROTOCOL_ERROR : CODE.NO_ERROR
      default:
        return CODE.NO_ERROR
    }
  }
}
