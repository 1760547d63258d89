// HAProxy: one thread, h2 on both sides or HTTP/1 on both, connections to the origin shared by all clients.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inPath } from '../../supervise/daemon-process.js'
import type { Peer, Setup } from '../peer.js'
import { end, family, listening, spawnProxy } from '../processes.js'

export const haproxy: Peer = {
  name: 'haproxy',
  debianPackage: 'haproxy',
  protocols: ['http1', 'h2c'],
  installed: () => inPath('haproxy') !== null,
  async start(setup) {
    const { directory, port, accessLog } = setup
    const file = join(directory, 'haproxy.cfg')
    writeFileSync(file, haproxyConfig(setup))
    const child = spawnProxy('haproxy', ['-db', '-f', file], { directory, outFile: accessLog ?? join(directory, 'out') })
    await listening(child, port)
    return { prefix: '/bench/', pids: () => family(child.pid), stop: () => end(child) }
  },
}

/** It logs to its stdout, which is the file, a line at a time: it has no buffered log. `/bench` is the 6 bytes that are cut off. */
function haproxyConfig({ port, originPort, accessLog, protocol }: Setup): string {
  const proto = protocol === 'h2c' ? ' proto h2' : ''
  const log = accessLog === null ? '' : 'log stdout format raw local0 info'
  return `global
  nbthread 1
  maxconn 8000
  ${log}
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout tunnel 1h
  ${accessLog === null ? '' : 'log global\n  option httplog'}
frontend door
  bind 127.0.0.1:${port} backlog 4096${proto}
  maxconn 8000
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Request-Id %[uuid()]
  http-request set-path %[path,bytes(6)] if { path_beg /bench/ }
  default_backend origin
backend origin
  http-reuse always
  server origin 127.0.0.1:${originPort}${proto}
`
}
