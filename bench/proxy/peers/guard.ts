// Our own proxy, started as the daemon starts it: a configuration with every default, a route table, a worker process.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { routeTable } from '../../../src/core/route-table.js'
import { requireConfig } from '../../../src/host/config.js'
import { startProxy } from '../../../src/proxy/workers.js'
import type { Peer, Setup } from '../peer.js'
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

/** JSON is YAML. What is not said here has its default, the guards among it; the log is never rotated during a run. */
function guardConfig({ directory, port, originPort, accessLog, protocol }: Setup): string {
  return JSON.stringify({
    guard: { run_dir: join(directory, 'run'), log_dir: directory },
    proxy: {
      listen: `127.0.0.1:${port}`,
      access_log: accessLog ?? 'NONE',
      access_log_maxbytes: 0,
      drain: '1s',
    },
    routes: [{ prefix: '/bench/', to: `${protocol === 'h2c' ? 'h2c' : 'http'}://127.0.0.1:${originPort}` }],
  })
}
