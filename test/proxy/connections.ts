// Connections of this process with itself, for tests of what takes over their accepted ends.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** So many connections: the accepted ends, paused and not read from, and the others. */
export async function connections(count: number): Promise<{ accepted: Socket[]; peers: Socket[] }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const accepted: Socket[] = []
  const peers: Socket[] = []
  for (let at = 0; at < count; at++) {
    const arrives = new Promise<Socket>(resolve => server.once('connection', resolve))
    const peer = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
    peer.on('error', () => {})
    peers.push(peer)
    accepted.push(await arrives)
  }
  server.close()
  return { accepted, peers }
}

export function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd
}
