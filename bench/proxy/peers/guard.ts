// Our own proxy, started as the daemon starts it: a configuration with every guard on, a route table, a worker process.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { routeTable } from '../../../src/core/route-table.js'
import { requireConfig } from '../../../src/host/config.js'
import { startProxy } from '../../../src/proxy/workers.js'
import { AUTHORIZATION, type Peer, type Setup } from '../peer.js'
import { pinToProxyCpu } from '../processes.js'

/** Only its worker is on the proxy's CPU and counts: what the daemon does for it is in this process. */
export const guard: Peer = {
  name: 'guard',
  debianPackage: null,
  protocols: ['http1', 'h2c'],
  installed: () => true,
  async start(setup) {
    const { directory, port } = setup
    const file = join(directory, 'guard.yaml')
    writeFileSync(file, guardConfig(setup))
    const config = requireConfig(file, {})
    const proxy = await startProxy({
      spec: { ...config.proxy, listen: { host: '127.0.0.1', port } },
      runDir: config.guard.runDir,
      version: 'bench',
      table: routeTable(1, config.routes, []),
      emit: message => process.stderr.write(`guard: ${message}\n`),
      portHolder: () => null,
    })
    const pids = () =>
      proxy
        .status()
        .workers.map(worker => worker.pid)
        .filter(pid => pid !== null && pid !== undefined)
    for (const pid of pids()) pinToProxyCpu(pid)
    return { prefix: '/bench/', pids, stop: () => proxy.stop() }
  },
}

/** JSON is YAML. Guards that are off by default are on, so wide that no load meets them; all others, and what is not said here, have their defaults.
 *  The log is never rotated during a run. */
function guardConfig({ directory, port, originPort, accessLog, protocol }: Setup): string {
  return JSON.stringify({
    guard: { run_dir: join(directory, 'run'), log_dir: directory },
    proxy: {
      listen: `127.0.0.1:${port}`,
      access_log: accessLog ?? 'NONE',
      access_log_maxbytes: 0,
      drain: '1s',
      max_connections_per_client: 100_000,
      max_requests_per_connection: 1_000_000_000,
      ...LISTS,
    },
    routes: [
      {
        prefix: '/bench/',
        to: `${protocol === 'h2c' ? 'h2c' : 'http'}://127.0.0.1:${originPort}`,
        idle_timeout: '1h',
        total_timeout: '1h',
        auth: { bearer: [AUTHORIZATION.slice('Bearer '.length)] },
        rate_limit: { requests: 1_000_000_000, per: '1s' },
        max_body_bytes: '1GB',
        ...LISTS,
      },
    ],
  })
}

/** The second of each is the one that matters, or does not. */
const LISTS = { allow: ['10.0.0.0/8', '127.0.0.0/8'], deny: ['192.0.2.0/24', '2001:db8::/32'] }
