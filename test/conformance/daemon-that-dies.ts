// A daemon in small for the suite: starts the proxy, tells its worker's pid, and waits to be killed.
// Arguments: RUN_DIR, ProxySpec as JSON, port of the service behind /w/.
import { startProxy } from '../../src/proxy/workers.js'
import { plainRules } from '../core/fixture-proxy.js'

const [runDir, spec, port] = process.argv.slice(2)
const proxy = await startProxy({
  spec: JSON.parse(spec!),
  runDir: runDir!,
  version: 'dying',
  table: {
    version: 1,
    routes: [
      {
        ...plainRules('/w/'),
        upstream: 'w',
        holdMs: 0,
        timeoutMs: 5000,
        connectTimeoutMs: 1000,
        expected: true,
        endpoints: [{ id: 'w_00', address: { host: '127.0.0.1', port: Number(port) }, ready: true, weight: 1 }],
      },
    ],
  },
  emit: () => {},
  portHolder: () => null,
})
process.send!(proxy.status().workers[0]!.pid)
