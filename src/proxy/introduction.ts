// The PROXY header in front of a TLS connection: read off the socket byte-exact, so that the handshake behind it finds all of its bytes.
import type { Socket } from 'node:net'
import { readProxyHeader } from '../core/proxy-header.js'

/** Reads the header of a paused socket.  Calls `done` with the client's address (null: the sender speaks for itself); destroys the socket where there is no
 *  sound header within limitMs. */
export function readIntroduction(socket: Socket, limitMs: number, done: (address: string | null) => void): void {
  let seen: Buffer = Buffer.alloc(0)
  const refuse = () => socket.destroy()
  const timer = setTimeout(refuse, limitMs)
  const leave = () => clearTimeout(timer)
  const read = () => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
    const header = readProxyHeader(seen)
    if (header.kind === 'more') return
    if (header.kind === 'bad') {
      refuse()
      return
    }
    leave()
    socket.off('readable', read)
    socket.off('end', refuse)
    socket.off('error', refuse)
    socket.off('close', leave)
    if (seen.length > header.length) socket.unshift(seen.subarray(header.length))
    done(header.address)
  }
  socket.on('readable', read)
  socket.on('end', refuse)
  socket.on('error', refuse)
  socket.on('close', leave)
}
