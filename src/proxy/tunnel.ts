// Two byte streams tied together after an upgrade: back-pressure, half-close and errors go across.
import type { Duplex } from 'node:stream'

export interface TunnelCounts {
  toService: number
  toClient: number
}

/** Ties the two ends; calls `over` once when both are closed. */
export function splice(client: Duplex, service: Duplex, over: (counts: TunnelCounts) => void): void {
  const counts: TunnelCounts = { toService: 0, toClient: 0 }
  let open = 2
  const closed = () => {
    if (--open === 0) over(counts)
  }
  carry(client, service, bytes => {
    counts.toService += bytes
  })
  carry(service, client, bytes => {
    counts.toClient += bytes
  })
  client.on('close', closed)
  service.on('close', closed)
}

/** One direction.  An error or an early close on one side must not look like a clean end on the other: the other is destroyed. */
function carry(from: Duplex, to: Duplex, seen: (bytes: number) => void): void {
  let ended = false
  from.on('data', (chunk: Buffer) => {
    seen(chunk.length)
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => {
    ended = true
    to.end()
  })
  // The cause is told by 'close', which follows.
  from.on('error', () => {})
  from.on('close', () => {
    if (!ended) to.destroy()
  })
  from.resume()
}
