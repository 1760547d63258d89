// The run directory's shims: events that come early, shims that are killed, shims nobody names any more, folders that cannot be made.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { shimHost } from '../../src/supervisor/shim-host.js'
import type { ShimHandlers, ShimLink } from '../../src/supervisor/world.js'
import { endNow } from '../system/rig.js'
import { spec } from './fakes.js'

const shimBinary = fileURLToPath(new URL('../../../native/guard-shim', import.meta.url))

function runDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'guard-shim-host-'))
  t.after(() => {
    for (const pid of shimsIn(dir)) endNow(pid)
    rmSync(dir, { recursive: true, force: true })
  })
  return dir
}

/** The shims whose folder lies in the run directory. */
function shimsIn(dir: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(name => linkOf(`/proc/${name}/exe`) === shimBinary && linkOf(`/proc/${name}/cwd`).startsWith(`${dir}/`))
    .map(Number)
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function recorder(): { heard: string[]; handlers: ShimHandlers; next(what: string): Promise<void> } {
  const heard: string[] = []
  const waiting: { what: string; resolve: () => void }[] = []
  const hear = (what: string) => (): void => {
    heard.push(what)
    for (const each of waiting) if (each.what === what) each.resolve()
  }
  const handlers = {
    exited: hear('exited'),
    logLost: hear('log_lost'),
    rotated: hear('rotated'),
    closed: hear('closed'),
    taken: hear('taken'),
  }
  const next = (what: string): Promise<void> =>
    heard.includes(what) ? Promise.resolve() : new Promise(resolve => waiting.push({ what, resolve }))
  return { heard, handlers, next }
}

function program(dir: string, id: string, script: string) {
  const base = spec(id)
  const run = { ...base.run, argv: ['/bin/sh', '-c', script], environment: { PATH: process.env.PATH ?? '' }, directory: dir }
  return { ...base, run, logs: { stdout: null, stderr: null } }
}

async function openOne(dir: string, one: ReturnType<typeof program>, handlers: ShimHandlers): Promise<ShimLink> {
  const link = (await shimHost(dir).open([one], () => handlers)).get(one.id)
  assert.ok(link !== undefined && !(link instanceof Error), String(link))
  return link
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

async function line(path: string): Promise<number[]> {
  for (let round = 0; round < 3000; round++) {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (text.endsWith('\n')) return text.trim().split(' ').map(Number)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`nothing in ${path}`)
}

test('an end that comes while other shims are still being opened is told after the link is begun, not before', async t => {
  const dir = runDir(t)
  t.after(() => delete process.env.GUARD_SHIM)
  // The shims of this test are sockets of its own: nothing must be started.
  process.env.GUARD_SHIM = '/bin/true'
  const hello = {
    event: 'hello',
    version: 1,
    shim: process.pid,
    pid: 41,
    started_ms: 1,
    started_at_ms: 1,
    exit: null,
    lost: { stdout: 0, stderr: 0 },
  }
  const exited = { event: 'exited', pid: 41, code: 0, signal: null, core: false, user_ms: 1, system_ms: 1, max_rss_kb: 1 }
  const times = { started_ms: 1, ended_ms: 2, started_at_ms: 1, ended_at_ms: 2 }
  const sockets: Socket[] = []
  const impostor = async (id: string, act: (socket: Socket) => void): Promise<void> => {
    mkdirSync(join(dir, 'instances', id), { recursive: true })
    const server = createServer(socket => {
      sockets.push(socket.on('error', () => undefined))
      act(socket)
    })
    await new Promise<void>(resolve => server.listen(join(dir, 'instances', id, 'shim.sock'), resolve))
    t.after(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
  }
  await impostor('quick', socket => socket.write(`${JSON.stringify(hello)}\n${JSON.stringify({ ...exited, ...times })}\n`))
  await impostor('slow', socket => setTimeout(() => socket.write(`${JSON.stringify({ ...hello, pid: 0 })}\n`), 100))
  const { heard, handlers } = recorder()
  const links = await shimHost(dir).open([spec('quick'), spec('slow')], id => (id === 'quick' ? handlers : recorder().handlers))
  const quick = links.get('quick') as ShimLink
  assert.equal(quick.found.pid, 41)
  assert.deepEqual(heard, [], 'nobody had the link yet')
  quick.begin()
  assert.deepEqual(heard, ['exited'])
})

test('a killed shim is told when its program and the children of that are gone', async t => {
  const dir = runDir(t)
  const { handlers, next } = recorder()
  const link = await openOne(dir, program(dir, 'web', 'sleep 1000 & echo $$ $! > pids; wait'), handlers)
  link.begin()
  await link.run(program(dir, 'web', 'sleep 1000 & echo $$ $! > pids; wait'))
  const pids = await line(join(dir, 'pids'))
  const [shim] = shimsIn(dir)
  process.kill(shim as number, 'SIGKILL')
  await next('closed')
  assert.deepEqual(pids.filter(isAlive), [])
})

test('a shim that a second daemon takes over is told as taken, and its program runs on', async t => {
  const dir = runDir(t)
  const first = recorder()
  const one = program(dir, 'web', 'echo $$ > pids; exec sleep 1000')
  const link = await openOne(dir, one, first.handlers)
  link.begin()
  await link.run(one)
  const [pid] = await line(join(dir, 'pids'))
  const second = await openOne(dir, one, recorder().handlers)
  await first.next('taken')
  assert.ok(isAlive(pid as number))
  assert.deepEqual(first.heard, ['taken'])
  second.begin()
  await second.bye()
})

test('what no instance names any more gets the chance to end well, and its folder goes', async t => {
  const dir = runDir(t)
  const one = program(dir, 'old', 'trap "echo 1 > well; exit" TERM; echo $$ > pids; while :; do sleep 0.02; done')
  const link = await openOne(dir, one, recorder().handlers)
  await link.run(one)
  const [pid] = await line(join(dir, 'pids'))
  mkdirSync(join(dir, 'instances/never-ran'))
  assert.deepEqual(await shimHost(dir).retire(new Set()), [`old (pid ${pid}) is not in the configuration any more and was ended`])
  assert.deepEqual(await line(join(dir, 'well')), [1])
  assert.deepEqual(readdirSync(join(dir, 'instances')), [])
})

test('a folder that cannot be made costs its own instance only', async t => {
  const dir = runDir(t)
  mkdirSync(join(dir, 'instances'))
  writeFileSync(join(dir, 'instances/bad'), '')
  const links = await shimHost(dir).open([spec('bad'), spec('good')], () => recorder().handlers)
  assert.match(String(links.get('bad')), /EEXIST|ENOTDIR/)
  const good = links.get('good')
  assert.ok(good !== undefined && !(good instanceof Error))
  await good.bye()
})
