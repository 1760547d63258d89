// Ports for programs that are told where to listen, or find nobody there: no two tests of this machine are given the same one.
import { createServer } from 'node:net'

// Above those that `port: auto` takes and below those that the kernel gives to whoever connects or listens on 0: one of those can be
// anybody's before its program listens.
const PORTS = { from: 30_000, to: 32_700 }

/** The first of so many ports in a row on 127.0.0.1 where nobody listens.  They are this process's until it ends. */
export async function freePort(count = 1): Promise<number> {
  for (;;) {
    const first = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from - count))
    const isFree = await Promise.all(Array.from({ length: count }, async (_, at) => (await isClaimed(first + at)) && isUnused(first + at)))
    if (isFree.every(Boolean)) return first
  }
}

/** By a name in the abstract namespace of Unix sockets: it can be had once, and is gone with its process. */
function isClaimed(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const claim = createServer().unref()
    claim.once('error', () => resolve(false))
    claim.listen(`\0guard-test-port-${port}`, () => resolve(true))
  })
}

function isUnused(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
