// Caddy: handle_path and reverse_proxy, on one processor.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inPath } from '../../supervise/daemon-process.js'
import type { Peer, Setup } from '../peer.js'
import { end, family, listening, spawnProxy } from '../processes.js'

export const caddy: Peer = {
  name: 'caddy',
  debianPackage: 'caddy',
  protocols: ['http1', 'h2c'],
  installed: () => inPath('caddy') !== null,
  async start(setup) {
    const { directory, port } = setup
    const file = join(directory, 'Caddyfile')
    writeFileSync(file, caddyfile(setup))
    const child = spawnProxy('caddy', ['run', '--adapter', 'caddyfile', '--config', file], {
      directory,
      outFile: join(directory, 'out'),
      env: { GOMAXPROCS: '1', HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
    })
    await listening(child, port)
    return { prefix: '/bench/', pids: () => family(child.pid), stop: () => end(child) }
  },
}

/** It adds X-Forwarded-For and -Proto by itself. */
function caddyfile({ port, originPort, accessLog, protocol }: Setup): string {
  const upstream = `${protocol === 'h2c' ? 'h2c' : 'http'}://127.0.0.1:${originPort}`
  const transport = protocol === 'h2c' ? '' : 'transport http {\n        keepalive_idle_conns_per_host 1024\n      }'
  return `{
  admin off
  auto_https off
  servers {
    protocols h1 h2 h2c
  }
}
http://:${port} {
  bind 127.0.0.1
  ${accessLog === null ? '' : `log {\n    output file ${accessLog} {\n      roll_disabled\n    }\n  }`}
  handle_path /bench/* {
    reverse_proxy ${upstream} {
      header_up X-Request-Id {http.request.uuid}
      ${transport}
    }
  }
}
`
}
