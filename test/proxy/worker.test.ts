// The worker's process on its own: what it does when its parent goes, when it is told to go, and when a bug strikes.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FromWorker, ToWorker } from '../../src/core/route-table.js'
import type { ProxySpec } from '../../src/core/spec.js'
import { bindSocket } from '../../src/proxy/socket.js'
import { PLAIN_PROXY } from '../core/fixture-proxy.js'

const SETTINGS: ProxySpec = {
  ...PLAIN_PROXY,
  idleTimeoutMs: 60_000,
  headerTimeoutMs: 10_000,
  maxConnections: 100,
  drainMs: 1000,
}

describe('worker process', () => {
  let runDir: string
  const children: ChildProcess[] = []
  before(() => {
    runDir = mkdtempSync(join(tmpdir(), 'guard-worker-'))
  })
  after(() => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(runDir, { recursive: true })
  })

  const start = async () => {
    const script = fileURLToPath(new URL('../../src/proxy/worker.js', import.meta.url))
    const child = fork(script, [runDir, '0'], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    children.push(child)
    const messages: FromWorker[] = []
    child.on('message', message => messages.push(message as FromWorker))
    const tell = (message: ToWorker) => child.send(message)
    const bound = await bindSocket({ host: '127.0.0.1', port: 0 }, () => null)
    tell({ kind: 'settings', settings: SETTINGS, version: 'v' })
    tell({ kind: 'table', table: { version: 7, routes: [] } })
    child.send({ kind: 'listen' }, bound.handle as never)
    while (!messages.some(message => message.kind === 'ready')) await once(child, 'message')
    bound.handle.close()
    return { child, messages, tell, port: bound.port, stateFile: join(runDir, 'proxy', `worker-${child.pid}.json`) }
  }
  /** Its exit code and signal, when all that it has told is here: the two come by different ways. */
  const gone = async (child: ChildProcess) => (await Promise.all([once(child, 'exit'), once(child, 'disconnect')]))[0]
  const health = async (port: number) =>
    (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as { version: string; table: number }

  it('ready names the table; a lower version is not taken, a higher one is', async () => {
    const { child, messages, tell, port } = await start()
    assert.deepEqual(messages, [{ kind: 'ready', tableVersion: 7 }])
    tell({ kind: 'table', table: { version: 6, routes: [] } })
    tell({ kind: 'table', table: { version: 8, routes: [] } })
    await once(child, 'message')
    assert.deepEqual(messages.slice(1), [{ kind: 'ready', tableVersion: 8 }])
    assert.deepEqual([(await health(port)).table, (await health(port)).version], [8, 'v'])
    child.kill('SIGKILL')
  })

  it('a drain is confirmed, leaves no state file, and ends with 0', async () => {
    const { child, messages, tell, stateFile } = await start()
    assert.ok(existsSync(stateFile))
    tell({ kind: 'drain', limitMs: 1000 })
    assert.deepEqual(await gone(child), [0, null])
    assert.deepEqual(
      messages.slice(1).map(message => message.kind),
      ['leaving', 'drained'],
    )
    assert.equal(existsSync(stateFile), false)
  })

  it('without its daemon it serves on with its last table, until SIGTERM', async () => {
    const { child, port } = await start()
    child.disconnect()
    assert.equal((await health(port)).table, 7)
    child.kill('SIGINT')
    child.kill('SIGHUP')
    assert.equal((await health(port)).table, 7)
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [0, null])
  })

  it('an error nobody caught is told, the worker takes nothing more and ends with 1', async () => {
    const { child, messages, tell, port } = await start()
    tell({ kind: 'table', table: null as never })
    assert.deepEqual(await gone(child), [1, null])
    const [log, leaving] = messages.slice(1)
    assert.ok(log?.kind === 'log' && log.level === 'error' && /uncaught in proxy worker/.test(log.message))
    assert.equal(leaving?.kind, 'leaving')
    await assert.rejects(health(port))
  })
})
