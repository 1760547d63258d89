// A wire tap between a client and the proxy: it counts connections and notes which frames the proxy sends.
import { connect, type Socket } from 'node:net'
import { TYPE } from '../h2-frames.js'
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
    watch(proxy, (type, payload) => type === TYPE.GOAWAY && goaways.push(payload.readUInt32BE(4)))
  })
  return { port: origin.port, accepted: origin.accepted, goaways, close: origin.close }
}

function watch(socket: Socket, seen: (type: number, payload: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (rest.length - at >= 9) {
      const end = at + 9 + rest.readUIntBE(at, 3)
      if (rest.length < end) break
      seen(rest[at + 3]!, rest.subarray(at + 9, end))
      at = end
    }
    rest = rest.subarray(at)
  })
}
