// The proxy that is soaked: a worker with every default, started as the daemon starts it, and the table that leads to the services.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RouteTable, TableRoute } from '../../src/core/route-table.js'
import type { RouteSpec } from '../../src/core/spec.js'
import { requireConfig } from '../../src/host/config.js'
import { startProxy } from '../../src/proxy/workers.js'
import type { Service } from './services.js'

const PROBE = new URL('heap-probe.js', import.meta.url)
const SETTLED_MS = 5000
/** The routes' prefixes, in the order of a service's ports. */
const PREFIXES = ['/w/', '/h/', '/g/']

export interface SoakedProxy {
  port: number
  /** Of the one worker. */
  pid: number
  /** What the worker told its daemon; nothing, where all goes well. */
  messages: string[]
  /** Pids of the workers there are now. */
  pids(): number[]
  /** Makes the worker act on the services as they are now. */
  publish(): Promise<void>
  stop(): Promise<void>
}

/** heapFile: the worker writes its heap there every second; null: it does not. */
export async function startSoakedProxy(directory: string, services: Service[], heapFile: string | null): Promise<SoakedProxy> {
  const file = join(directory, 'guard.yaml')
  writeFileSync(file, configText(directory))
  const config = requireConfig(file, {})
  const messages: string[] = []
  let version = 1
  if (heapFile !== null) Object.assign(process.env, { NODE_OPTIONS: `--import=${PROBE.href}`, GUARD_SOAK_HEAP: heapFile })
  const proxy = await startProxy({
    spec: { ...config.proxy, listen: { host: '127.0.0.1', port: 0 } },
    runDir: config.guard.runDir,
    version: 'soak',
    table: tableOf(version, config.routes, services),
    emit: message => messages.push(message),
    portHolder: () => null,
  })
  if (heapFile !== null) delete process.env.NODE_OPTIONS
  const pids = () => proxy.status().workers.map(({ pid }) => pid)
  return {
    port: proxy.status().listen.port,
    pid: pids()[0] as number,
    messages,
    pids,
    publish: async () => {
      proxy.table(tableOf(++version, config.routes, services))
      await proxy.settled(version, SETTLED_MS)
    },
    stop: () => proxy.stop(),
  }
}

function tableOf(version: number, routes: RouteSpec[], services: Service[]): RouteTable {
  return {
    version,
    routes: routes.map(({ to: _, weights: __, ...rules }): TableRoute => {
      const which = PREFIXES.indexOf(rules.prefix)
      const endpoints = services.map(({ name, ports, isReady, weight }) => ({
        id: `${name}${rules.prefix}`,
        address: { host: '127.0.0.1', port: ports[which] as number },
        ready: isReady,
        weight,
      }))
      return { ...rules, upstream: rules.id, expected: true, endpoints }
    }),
  }
}

/** JSON is YAML.  What is not said here has its default, the access log and the guards among it. */
function configText(directory: string): string {
  return JSON.stringify({
    guard: { run_dir: join(directory, 'run'), log_dir: directory },
    proxy: { listen: '127.0.0.1:6006', drain: '2s' },
    routes: [
      { prefix: PREFIXES[0], to: 'http://127.0.0.1:1' },
      { prefix: PREFIXES[1], to: 'h2c://127.0.0.1:1' },
      { prefix: PREFIXES[2], to: 'h2c://127.0.0.1:1' },
    ],
  })
}
