// The two proxies from npm, each a Node process of its own.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Peer } from '../peer.js'
import { end, family, listening, spawnProxy } from '../processes.js'

/** It has no HTTP/2. */
export const httpProxy: Peer = npmPeer('http-proxy', ['http1'])
/** Its HTTP/2 towards the origin is the adapter of http2-stream-request.ts. */
export const http2Proxy: Peer = npmPeer('http2-proxy', ['http1', 'h2c'])

function npmPeer(name: string, protocols: Peer['protocols']): Peer {
  const script = fileURLToPath(new URL(`./${name}-process.js`, import.meta.url))
  return {
    name,
    debianPackage: null,
    protocols,
    installed: () => true,
    async start({ directory, port, originPort, accessLog, protocol }) {
      const settings = JSON.stringify({ port, originPort, accessLog, protocol })
      const child = spawnProxy(process.execPath, [script, settings], { directory, outFile: join(directory, 'out') })
      await listening(child, port)
      return { prefix: '/bench/', pids: () => family(child.pid), stop: () => end(child) }
    },
  }
}
