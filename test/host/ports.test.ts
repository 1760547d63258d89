// Ports of this machine: who listens, what counts as ours, and which port `auto` takes.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { lookAtPorts, portHolder, readAddress } from '../../src/host/ports.js'

const home = realpathSync(mkdtempSync(join(tmpdir(), 'guard-ports-')))
const servers: Server[] = []
const children: ChildProcess[] = []
after(async () => {
  for (const server of servers) server.close()
  for (const child of children.filter(each => each.exitCode === null && each.signalCode === null)) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(home, { recursive: true })
})

async function listen(host: string, port = 0): Promise<number> {
  const server = createServer()
  servers.push(server)
  server.listen(port, host)
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

const me = `${basename(process.execPath)} (pid ${process.pid})`
const nobody: Omit<Parameters<ReturnType<typeof lookAtPorts>['free']>[0], 'instanceId'> = {
  runDir: join(home, 'run'),
  reserved: new Set<number>(),
  had: null,
  host: '127.0.0.1',
}

test('the kernel’s hexadecimal addresses', () => {
  const rows: [hex: string, address: string][] = [
    ['0100007F', '127.0.0.1'],
    ['00000000', '0.0.0.0'],
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000001000000', '0:0:0:0:0:0:0:1'],
    ['0000000000000000FFFF00000100007F', '127.0.0.1'],
    ['B80D0120000000000000000001000000', '2001:db8:0:0:0:0:0:1'],
  ]
  for (const [hex, address] of rows) assert.equal(readAddress(hex), address, hex)
})

test('a listener is named with its process; a free port and another loopback address are free', async () => {
  const port = await listen('127.0.0.1')
  assert.equal(portHolder({ host: '127.0.0.1', port }), me)
  assert.equal(portHolder({ host: 'localhost', port }), me)
  assert.equal(portHolder({ host: '0.0.0.0', port }), me)
  assert.equal(portHolder({ host: '127.0.0.2', port }), null)
  assert.equal(portHolder({ host: 'elsewhere.example', port }), null)
  const everywhere = await listen('0.0.0.0')
  assert.equal(portHolder({ host: '127.0.0.1', port: everywhere }), me)
  assert.equal(portHolder({ host: '127.0.0.1', port: 1 }), null)
  assert.equal(lookAtPorts().foreignHolder({ host: '127.0.0.1', port }, nobody.runDir), me)
})

test('auto: the same free port for the same id, around what is taken or reserved', async () => {
  const free = (instanceId: string, more: Partial<typeof nobody> = {}) => lookAtPorts().free({ ...nobody, instanceId, ...more }) as number
  const first = free('web')
  assert.ok(first >= 20_000 && first < 30_000)
  assert.equal(free('web'), first)
  assert.notEqual(free('db'), first)
  assert.equal(free('web', { reserved: new Set([first]) }), first === 29_999 ? 20_000 : first + 1)
  assert.equal(free('web', { had: 25_123 }), 25_123)
  assert.equal(free('web', { had: 25_123, reserved: new Set([25_123]) }), first)
  await listen('127.0.0.1', first)
  assert.notEqual(free('web'), first)
  assert.notEqual(free('web', { had: first }), first)
  assert.equal(free('web', { reserved: new Set(Array.from({ length: 10_000 }, (_, index) => 20_000 + index)) }), null)
})

/** A process that is a guard-shim by name, in a directory of the run directory, whose child listens: what the check has to recognise. */
async function shimWith(directory: string, instance: string, listenOn = 0): Promise<number> {
  const shim = join(home, 'guard-shim')
  copyFileSync('/bin/sh', shim)
  mkdirSync(directory, { recursive: true })
  const program = `const server = require('net').createServer().listen(${listenOn}, '127.0.0.1', () => console.log(server.address().port))`
  const child = spawn(shim, ['-c', '"$NODE" -e "$PROGRAM" & wait'], {
    cwd: directory,
    env: { NODE: process.execPath, PROGRAM: program, GUARD_INSTANCE: instance },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  children.push(child)
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer]
  after(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  })
  return Number(chunk.toString())
}

test('a port that a program of this run directory holds is not taken; of another it is', async () => {
  const runDir = join(home, 'run')
  const port = await shimWith(join(runDir, 'shims', 'web'), 'web')
  const address = { host: '127.0.0.1', port }
  const ports = lookAtPorts()
  assert.match(ports.holder(address) ?? '', /^node \(pid \d+\)$/)
  assert.equal(ports.foreignHolder(address, runDir), null)
  assert.match(ports.foreignHolder(address, join(home, 'ru')) ?? '', /^node \(pid \d+\)$/)
  assert.match(ports.foreignHolder(address, join(home, 'other')) ?? '', /^node \(pid \d+\)$/)
})

test('auto keeps the port the running instance listens on, even where an earlier one has become free', async () => {
  const runDir = join(home, 'run')
  const question = { ...nobody, runDir, instanceId: 'auto' }
  const first = lookAtPorts().free(question) as number
  const later = first + 40 < 30_000 ? first + 40 : first - 40
  await shimWith(join(runDir, 'shims', 'auto'), 'auto', later)
  assert.equal(lookAtPorts().free(question), later)
  assert.notEqual(lookAtPorts().free({ ...question, instanceId: 'other', had: later }), later)
  assert.equal(lookAtPorts().free({ ...question, runDir: join(home, 'other') }), first)
})
