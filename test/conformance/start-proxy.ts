// The one seam between the suite and the proxy: starts the worker on a free port, from routes and endpoints alone.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { RouteTable, TableEndpoint, TableRoute } from '../../src/core/route-table.js'
import type { ProxySpec } from '../../src/core/spec.js'
import { type ProxyStatus, startProxy } from '../../src/proxy/workers.js'
import { PLAIN_PROXY, plainRules } from '../core/fixture-proxy.js'

export interface TestRoute extends Partial<TableRoute> {
  prefix: string
}

export interface TestProxy {
  port: number
  /** The test's own directory; removed at the end. */
  directory: string
  /** What the workers told their daemon. */
  messages: string[]
  /** Sends a new table; resolves when every worker that serves has it. */
  setTable(routes: TestRoute[]): Promise<void>
  settings(change: Partial<ProxySpec>): Promise<void>
  reopenLogs(): void
  status(): ProxyStatus
  stop(): Promise<void>
}

export const SETTINGS: ProxySpec = {
  ...PLAIN_PROXY,
  idleTimeoutMs: 60_000,
  headerTimeoutMs: 10_000,
  maxConnections: 1000,
  drainMs: 2000,
}

/** What a test has started and not ended, because it failed; ended with the file, so that nothing is left behind. */
const leftovers = new Set<() => unknown>()
after(async () => {
  for (const end of leftovers) await end()
})

/** Ends it with the test file at the latest.  Returns what ends it earlier. */
export function endLater<T>(end: () => T): () => T {
  const once = () => {
    leftovers.delete(once)
    return end()
  }
  leftovers.add(once)
  return once
}

/** Starts a proxy with these routes; every field of a route but its prefix has a default. */
export async function startTestProxy(routes: TestRoute[], change: Partial<ProxySpec> = {}): Promise<TestProxy> {
  const directory = mkdtempSync(join(tmpdir(), 'guard-proxy-'))
  const messages: string[] = []
  let spec = { ...SETTINGS, ...change }
  const proxy = await startProxy({
    spec,
    runDir: directory,
    version: '0.0.0-test',
    table: { version: 0, routes: [] },
    emit: message => messages.push(message),
    portHolder: () => null,
  })
  let version = 0
  const setTable = async (next: TestRoute[]) => {
    const table = tableOf(++version, next)
    proxy.table(table)
    await until(() => proxy.status().workers.every(worker => worker.state === 'draining' || worker.tableVersion >= table.version))
  }
  await setTable(routes)
  return {
    port: proxy.status().listen.port,
    directory,
    messages,
    setTable,
    settings: async changed => {
      spec = { ...spec, ...changed }
      await proxy.settings(spec)
    },
    reopenLogs: () => proxy.reopenLogs(),
    status: () => proxy.status(),
    stop: endLater(async () => {
      await proxy.stop()
      rmSync(directory, { recursive: true, force: true })
    }),
  }
}

/** An endpoint on 127.0.0.1; `ready` unless told otherwise. */
export function endpoint(port: number, change: Partial<TableEndpoint> = {}): TableEndpoint {
  return { id: `127.0.0.1:${port}`, address: { host: '127.0.0.1', port }, ready: true, weight: 1, ...change }
}

function tableOf(version: number, routes: TestRoute[]): RouteTable {
  const full = routes.map(
    (route): TableRoute => ({
      ...plainRules(route.prefix),
      upstream: route.prefix,
      holdMs: 0,
      timeoutMs: 5000,
      connectTimeoutMs: 1000,
      expected: true,
      endpoints: [],
      ...route,
    }),
  )
  return { version, routes: full.sort((a, b) => b.prefix.length - a.prefix.length) }
}

/** Waits until the fact holds, at most limitMs. */
export async function until(fact: () => boolean, limitMs = 30_000): Promise<void> {
  const end = performance.now() + limitMs
  while (!fact()) {
    assert.ok(performance.now() < end, `not within ${limitMs} ms: ${fact}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
