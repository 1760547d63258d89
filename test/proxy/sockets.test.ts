// native/sockets.c at its edges: what it refuses, more of everything than fits, peers that are gone, and how its process ends.
import assert from 'node:assert/strict'
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FromWorker } from '../../src/core/route-table.js'
import { bindSocket } from '../../src/proxy/socket.js'
import { missing, native } from '../../src/proxy/sockets.js'
import { Wire } from '../../src/proxy/wire.js'
import { SETTINGS, until } from '../conformance/start-proxy.js'
import { connections, descriptorOf } from './connections.js'
import { WireDiary } from './wire-diary.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'guard-sockets-'))
const leftovers = new Set<{ destroy(): void }>()
after(() => {
  for (const left of leftovers) left.destroy()
  rmSync(directory, { recursive: true })
})

class Diary extends WireDiary {
  constructor(socket: Socket) {
    super(Wire.accepted(socket))
    leftovers.add(this.wire)
  }

  /** At once. */
  override send(text: string): void {
    super.send(text)
    this.wire.flush()
  }

  /** Writes until the peer takes nothing more. */
  block(): void {
    while (!this.wire.isBlocked) this.send('x'.repeat(60_000))
  }
}

async function pairs(count: number): Promise<{ diary: Diary; peer: Socket }[]> {
  const { accepted, peers } = await connections(count)
  for (const peer of peers) leftovers.add(peer)
  return accepted.map((socket, at) => ({ diary: new Diary(socket), peer: peers[at]! }))
}

const openDescriptors = () => readdirSync('/proc/self/fd').length

/** What the event loop's epoll looks at. */
function watchedDescriptors(): number {
  let count = 0
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventpoll]')
        count += readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').split('tfd:').length - 1
    } catch {
      // It was the descriptor of the listing itself.
    }
  }
  return count
}

it('native/sockets.node is built: the tests below are about it', () => assert.equal(missing, null))

describe('a call that is wrong', () => {
  it('is refused with an exception, and changes nothing', async () => {
    const { accepted, peers } = await connections(2)
    const [slot, closed] = accepted.map(socket => native.adopt(descriptorOf(socket))) as [number, number]
    for (const socket of [...accepted, ...peers]) leftovers.add(socket)
    for (const socket of accepted) socket.destroy()
    native.close(closed, false)
    const file = openSync(join(directory, 'file'), 'w')
    const descriptors = openDescriptors()
    const bytes = Buffer.from('bytes')
    type Loose = Record<keyof typeof native, (...values: unknown[]) => unknown>
    const loose = native as unknown as Loose
    const noSlots = [-1, closed, 63, 64, 1e9, 2 ** 31, 2 ** 32, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '0', null, undefined, {}, 0n]
    for (const bad of noSlots) {
      if (bad === slot) continue
      for (const call of [
        () => loose.watch(bad, 1),
        () => loose.send(bad, bytes, 0, 5),
        () => loose.shutdown(bad),
        () => loose.close(bad, false),
      ])
        assert.throws(call, { message: 'sockets: no such slot' }, `${String(bad)}: ${call}`)
    }
    const wrong: (() => unknown)[] = [
      ...[4, -1, '1', undefined].map(what => () => loose.watch(slot, what)),
      ...['bytes', null, {}, new ArrayBuffer(8), new Float64Array(8), new DataView(new ArrayBuffer(8))].map(
        not => () => loose.send(slot, not, 0, 1),
      ),
      ...[
        [0, 6],
        [2, 1],
        [-1, 5],
        [0, -1],
        [0, 2 ** 32 + 6],
        ['0', 1],
        [0, undefined],
      ].map(part => () => loose.send(slot, bytes, ...part)),
      ...[1, undefined, 'true'].map(isReset => () => loose.close(slot, isReset)),
      ...[-1, 1e6, '0', undefined, file].map(fd => () => loose.adopt(fd)),
      () => loose.open(Buffer.alloc(1 << 20), new Int32Array(64), () => {}),
      ...[
        [0, 1],
        ['127.0.0.1', 65_536],
        ['127.0.0.1', '80'],
        ['a\0b', 0],
      ].map(to => () => loose.connect(...to)),
      ...(['open', 'adopt', 'connect', 'watch', 'send', 'shutdown', 'close'] as const).flatMap(name => [
        () => loose[name](),
        () => loose[name](slot, 1, 2, 3, 4),
      ]),
    ]
    for (const call of wrong) assert.throws(call, Error, String(call))
    assert.equal(openDescriptors(), descriptors)
    assert.equal(native.send(slot, bytes, 0, 5), 5)
    assert.equal(native.send(slot, bytes, 5, 5), 0)
    assert.equal(String((await once(peers[0]!, 'data'))[0]), 'bytes')
    native.close(slot, true)
    for (const peer of peers) peer.destroy()
    closeSync(file)
  })
})

describe('more than there is room for', () => {
  it('sockets: 200 at once, and 200 more in their slots; no descriptor and no watch is left of any', async () => {
    const descriptors = openDescriptors()
    const watched = watchedDescriptors()
    for (const round of ['first', 'second']) {
      const all = await pairs(200)
      await new Promise(setImmediate)
      const paused = watchedDescriptors()
      for (const [at, { diary, peer }] of all.entries()) {
        diary.wire.resumeReading()
        peer.write(`${round} ${at}`)
      }
      await until(() => all.every(({ diary }, at) => diary.text === `${round} ${at}`))
      for (const { diary, peer } of all) {
        diary.wire.pauseReading()
        peer.write('not read')
      }
      await new Promise(setImmediate)
      assert.ok(watchedDescriptors() <= paused, 'unread bytes of a paused socket wake nobody')
      for (const { diary, peer } of all) {
        diary.wire.destroy()
        peer.destroy()
      }
      await until(() => all.every(({ diary }) => diary.events.length === 1))
      await until(() => openDescriptors() === descriptors && watchedDescriptors() === watched)
    }
  })

  it('bytes: what twenty sockets bring in a turn is each its own', async () => {
    const all = await pairs(20)
    const length = 300_000
    for (const [at, { diary, peer }] of all.entries()) {
      diary.wire.resumeReading()
      peer.end(Buffer.alloc(length, at + 1))
    }
    await until(() => all.every(({ diary }) => diary.events.length === 1))
    for (const [at, { diary }] of all.entries()) {
      assert.ok(Buffer.concat(diary.chunks).equals(Buffer.alloc(length, at + 1)), `socket ${at}`)
      diary.wire.destroy()
    }
  })

  it('a read: it begins with 2 KiB, doubles where it is filled, is halved by `slow`, and grows by 1 KiB from then on', async () => {
    const growing = [2048, 4096, 8192, 16384]
    const shrinking = [8192, 4096, 2048, 1024, 1024, 1024]
    const sizes = [...growing, ...shrinking, 2048, 3072, 1536, 2560]
    assert.deepEqual((await child('sockets-reads.js')).seen, { sizes, largest: 65536 })
  })

  it('a read: whose bytes take most of a long turn brings less in the next', async () => {
    const [{ diary, peer }] = (await pairs(1)) as [{ diary: Diary; peer: Socket }]
    diary.onReceived = () => {
      for (const end = performance.now() + 8; performance.now() < end; );
    }
    peer.write(Buffer.alloc(1 << 20))
    diary.wire.resumeReading()
    await until(() => diary.chunks.some(chunk => chunk.length === 1024))
    diary.wire.destroy()
  })

  it('events: with room for two, sockets are closed and adopted in the middle of the turn', async () => {
    const { refusals, calls, isNewSlot, heard } = (await child('sockets-smallest.js')).seen as Record<string, unknown>
    const open = 'sockets: open wants a Uint8Array, an Int32Array and a function, once'
    assert.deepEqual(refusals, ['Invalid argument', open, open, open, open])
    assert.deepEqual([calls, isNewSlot], [3, true])
    assert.deepEqual((heard as string[]).sort(), ['10 of 10', '11 of 11'])
  })
})

describe('a peer that is gone', () => {
  const reset = async (prepare: (diary: Diary, peer: Socket) => unknown) => {
    const [{ diary, peer }] = (await pairs(1)) as [{ diary: Diary; peer: Socket }]
    diary.wire.resumeReading()
    peer.write('hello')
    await until(() => diary.text === 'hello')
    await prepare(diary, peer)
    return { diary, peer }
  }

  it('is heard to its last byte in front of a reset', async () => {
    const { diary, peer } = await reset(() => {})
    // In one turn: bytes and reset are both there before we look.
    peer.write(', last words')
    peer.resetAndDestroy()
    await until(() => diary.events.length > 0)
    assert.deepEqual([diary.text, diary.events], ['hello, last words', ['closed: read ECONNRESET']])
  })

  it('is heard to its last byte also where we learn of the reset by writing', async () => {
    const { diary, peer } = await reset(() => {})
    peer.write(', last words')
    peer.resetAndDestroy()
    diary.send('a body that nobody takes')
    diary.send('and the rest of it')
    assert.equal(diary.wire.pendingBytes, 0)
    await until(() => diary.events.length > 0)
    assert.deepEqual([diary.text, diary.events], ['hello, last words', ['closed: write ECONNRESET']])
  })

  it('is noticed while output waits for it, read from or not', async () => {
    for (const pauses of [(diary: Diary) => diary.wire.pauseReading(), () => {}]) {
      const { diary, peer } = await reset((blocked, silent) => {
        silent.pause()
        pauses(blocked)
        blocked.block()
      })
      peer.resetAndDestroy()
      await until(() => diary.events.length > 0)
      assert.match(diary.events.join(), /^closed: (read|write) ECONNRESET$/)
      assert.equal(diary.wire.pendingBytes, 0)
    }
  })

  it('is noticed at once by a write while reading is paused', async () => {
    const { diary, peer } = await reset(waiting => waiting.wire.pauseReading())
    peer.resetAndDestroy()
    diary.send('x')
    await until(() => diary.events.length > 0)
    assert.deepEqual(diary.events, ['closed: write ECONNRESET'])
  })

  it('is all there is to hear: nothing follows an end, a reset or our own close', async () => {
    const { diary, peer } = await reset(() => {})
    peer.write('late')
    diary.wire.destroy()
    diary.wire.reset()
    diary.wire.resumeReading()
    diary.wire.end()
    diary.send('x')
    await until(() => diary.events.length > 0)
    await new Promise(setImmediate)
    assert.deepEqual([diary.text, diary.events], ['hello', ['closed']])
  })
})

describe('a Unix socket', () => {
  const path = join(directory, 'unix.sock')
  const arrival = async (server: Server): Promise<{ diary: Diary; peer: Socket }> => {
    const peer = connect({ path, allowHalfOpen: true })
    peer.on('error', () => {})
    leftovers.add(peer)
    const [socket] = (await once(server, 'connection')) as [Socket]
    const diary = new Diary(socket)
    diary.wire.resumeReading()
    return { diary, peer }
  }

  it('carries bytes and ends both ways, and says when its peer leaves bytes unread', async () => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
    leftovers.add({ destroy: () => server.close() })
    server.listen(path)
    await once(server, 'listening')
    const { diary, peer } = await arrival(server)
    diary.send('there')
    assert.equal(String((await once(peer, 'data'))[0]), 'there')
    peer.end('and back')
    await until(() => diary.events.length > 0)
    diary.wire.end()
    await until(() => diary.events.length > 1)
    assert.deepEqual([diary.text, diary.events], ['and back', ['ended', 'closed']])
    const rude = await arrival(server)
    rude.peer.pause()
    rude.diary.block()
    rude.peer.destroy()
    await until(() => rude.diary.events.some(event => event.startsWith('closed')))
    assert.match(rude.diary.events.at(-1)!, /^closed: (read ECONNRESET|write EPIPE)$/)
  })
})

/** Runs a program of this directory to its end. */
async function child(program: string, ...words: string[]): Promise<{ seen: unknown; code: number; stderr: string }> {
  const script = fileURLToPath(new URL(program, import.meta.url))
  return new Promise(resolve => {
    const command = ['-c', 'ulimit -n 256; exec "$0" "$@"', process.execPath, script, ...words]
    const started = execFile('sh', command, { timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({ seen: stdout === '' ? null : JSON.parse(stdout), code: started.exitCode ?? -1, stderr }),
    )
  })
}

describe('its process', () => {
  it('hears of a throw as an uncaught error; the other sockets of the turn have their bytes', async () => {
    const heard = ['0', '1', '2', 'again', 'later 0', 'later 1', 'later 2', 'later again']
    const uncaught = ['thrown 0', 'thrown 0', 'thrown 1']
    assert.deepEqual(await child('sockets-child.js', 'throws'), { seen: { heard, uncaught }, code: 0, stderr: '' })
  })

  it("without a descriptor for the copy, Node's socket carries on", async () => {
    const seen = { heard: ['bytes', 'bytes'], carriers: ['DuplexCarrier', 'SocketCarrier'] }
    assert.deepEqual(await child('sockets-child.js', 'noDescriptors'), { seen, code: 0, stderr: '' })
  })

  it('ends in order with sockets open: by itself, and from within an event', async () => {
    assert.deepEqual(await child('sockets-child.js', 'openAtEnd'), { seen: { open: 70 }, code: 0, stderr: '' })
    assert.deepEqual(await child('sockets-child.js', 'exitFromWithin'), { seen: null, code: 7, stderr: '' })
  })

  it('has them in its main thread only', async () => {
    const seen = { there: 'sockets: for the main thread only', here: null, heard: ['still here'] }
    assert.deepEqual(await child('sockets-child.js', 'thread'), { seen, code: 0, stderr: '' })
  })
})

describe('a worker without the addon', () => {
  const lacks: Record<string, { put: (path: string) => void; says: RegExp }> = {
    missing: { put: () => {}, says: /Cannot find module/ },
    'no addon': { put: path => writeFileSync(path, 'not ELF'), says: /sockets\.node: (file too short|invalid ELF header)/ },
  }
  for (const [name, { put, says }] of Object.entries(lacks))
    it(`serves by Node's sockets and says so: ${name}`, async () => {
      const copy = join(directory, name)
      mkdirSync(join(copy, 'native'), { recursive: true })
      cpSync(fileURLToPath(new URL('../../src', import.meta.url)), join(copy, 'dist/src'), { recursive: true })
      for (const shared of ['node_modules', 'package.json']) symlinkSync(join(root, shared), join(copy, shared))
      put(join(copy, 'native/sockets.node'))
      const worker = fork(join(copy, 'dist/src/proxy/worker.js'), [copy, '0'], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
      leftovers.add({ destroy: () => worker.kill('SIGKILL') })
      const messages: FromWorker[] = []
      worker.on('message', message => messages.push(message as FromWorker))
      const bound = await bindSocket({ host: '127.0.0.1', port: 0 }, () => null)
      worker.send({ kind: 'settings', settings: SETTINGS, version: 'v' })
      worker.send({ kind: 'table', table: { version: 1, routes: [] } })
      worker.send({ kind: 'listen', door: 'plain' }, bound.handle as never)
      await until(() => messages.some(message => message.kind === 'ready'))
      bound.handle.close()
      assert.equal((await fetch(`http://127.0.0.1:${bound.port}/health`)).status, 200)
      const logs = messages.filter(message => message.kind === 'log')
      assert.deepEqual(
        logs.map(log => [log.level, /^Node's own sockets carry the traffic/.test(log.message), says.test(log.message)]),
        [['warn', true, true]],
      )
      worker.kill('SIGTERM')
      assert.deepEqual(await once(worker, 'exit'), [0, null])
    })
})
