// A wire tap between a client and the proxy: it counts connections and notes which frames the proxy sends.
import { connect, type Socket } from 'node:net'
import { type Frame, TYPE } from '../h2-frames.js'
import { rawOrigin } from '../origins.js'

export interface Tap {
  port: number
  accepted(): number
  /** Error codes of the GOAWAYs the proxy has sent. */
  goaways: number[]
  close(): Promise<void>
}

/** Forwards every connection to 127.0.0.1:port as it is. */
export async function tap(port: number): Promise<Tap> {
  const goaways: number[] = []
  const origin = await rawOrigin(client => {
    const proxy = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    proxy.setNoDelay(true)
    client.setNoDelay(true)
    proxy.on('error', () => client.destroy())
    client.on('close', () => proxy.destroy())
    proxy.on('close', () => client.destroy())
    client.pipe(proxy)
    proxy.pipe(client)
    onFrames(proxy, ({ type, payload }) => type === TYPE.GOAWAY && goaways.push(payload.readUInt32BE(4)))
  })
  return { port: origin.port, accepted: origin.accepted, goaways, close: origin.close }
}

/** Calls `seen` for every frame a socket brings.  skip: bytes before the first. */
export function onFrames(socket: Socket, seen: (frame: Frame) => void, skip = 0): void {
  let rest: Buffer = Buffer.alloc(0)
  let skipped = 0
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = Math.min(skip - skipped, rest.length)
    skipped += at
    while (rest.length - at >= 9) {
      const end = at + 9 + rest.readUIntBE(at, 3)
      if (rest.length < end) break
      seen({ type: rest[at + 3]!, flags: rest[at + 4]!, id: rest.readUInt32BE(at + 5), payload: rest.subarray(at + 9, end) })
      at = end
    }
    rest = rest.subarray(at)
  })
}
