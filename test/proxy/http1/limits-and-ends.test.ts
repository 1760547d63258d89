// Clients that stall, leave or half-close, tunnels, and draining: every end of a client's connection is told once, and nothing is left.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AHEAD_BYTES } from '../../../src/proxy/http1/read-credit.js'
import { WINDOW_BYTES } from '../../../src/proxy/stream.js'
import { fairClock } from '../../conformance/machine.js'
import { type Door, dial, openDoor, Recorder, until } from './loopback.js'

/** One read may come after reading was paused. */
const READ_BYTES = 64 * 1024

const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`
const POST = 'POST /w HTTP/1.1\r\nHost: h\r\n'
const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

async function recording(
  act: (recorder: Recorder) => void = () => {},
  change: Parameters<typeof openDoor>[1] = {},
): Promise<{ door: Door; seen: Recorder[] }> {
  const seen: Recorder[] = []
  const door = await openDoor(stream => {
    seen.push(new Recorder(stream))
    act(seen.at(-1)!)
  }, change)
  return { door, seen }
}

const echo = (recorder: Recorder) => recorder.answer(200, recorder.stream.head.target)

describe('limits', () => {
  for (const [title, first, answer] of [
    ['says nothing', '', /^$/],
    ['sends half a head', 'GET / HTTP/1.1\r\nHost', /^HTTP\/1\.1 408 [\s\S]*connection: close/],
  ] as const) {
    it(`a client that ${title} is ended after headerTimeoutMs`, async () => {
      const { door } = await recording(echo, { headerTimeoutMs: 500 })
      const begun = performance.now()
      const client = await dial(door.port)
      client.send(first)
      assert.match(await client.until(), answer)
      assert.ok(performance.now() - begun >= 498)
    })
  }

  it('a head that dribbles in has headerTimeoutMs from its first byte', async () => {
    const { door } = await recording(echo, { headerTimeoutMs: 150 })
    const client = await dial(door.port)
    client.send(get('/first'))
    await client.until(text => text.endsWith('/first'))
    const begun = performance.now()
    const passedMs = fairClock(process.pid)
    const dribble = setInterval(() => client.send('G'), 10)
    await client.until()
    clearInterval(dribble)
    const tookMs = performance.now() - begun
    assert.match(client.text(), /408/)
    assert.ok(tookMs >= 148 && passedMs() < 1500, `${tookMs} ms`)
  })

  it('without a request the connection ends after idleTimeoutMs, without a word', async () => {
    const { door } = await recording(echo, { idleTimeoutMs: 100 })
    const client = await dial(door.port)
    client.send(get('/x'))
    await client.until(text => text.endsWith('/x'))
    const length = client.text().length
    assert.equal(await client.ended(), 'end')
    assert.equal(client.text().length, length)
    client.socket.end()
    await until(() => door.closed === 1)
  })

  it('a client that does not end its side either is gone after a while', async () => {
    const { door } = await recording(recorder => recorder.answer(200, 'x', ['content-length', '1']), { idleTimeoutMs: 50 })
    const client = await dial(door.port)
    await until(() => door.connections.length === 1)
    client.send(get('/'))
    await until(() => door.closed === 1)
  })

  it('a body that stands still is 408 after bodyTimeoutMs; one that moves is not', async () => {
    const { door, seen } = await recording(() => {}, { bodyTimeoutMs: 700 })
    const client = await dial(door.port)
    client.send(`${POST}Content-Length: 100\r\n\r\n`)
    const begun = performance.now()
    for (let count = 0; count < 5; count++) {
      await new Promise(resolve => setTimeout(resolve, 200))
      client.send('x')
    }
    assert.match(await client.until(), /^HTTP\/1\.1 408 /)
    assert.ok(performance.now() - begun >= 1690)
    assert.deepEqual([seen[0]!.faults, seen[0]!.gone, seen[0]!.sent], [['REQUEST_TOO_SLOW'], [], 1])
  })

  it('a body that stands still is told again after as long a rest, where whoever serves it waits on', async () => {
    const faults: number[] = []
    const { door, seen } = await recording(
      recorder => {
        recorder.requestFault = () => {
          faults.push(performance.now())
          if (faults.length === 3) recorder.answer(408, 'enough')
        }
      },
      { bodyTimeoutMs: 100 },
    )
    const client = await dial(door.port)
    client.send(`${POST}Content-Length: 100\r\n\r\nhello`)
    assert.match(await client.until(), /^HTTP\/1\.1 408 [\s\S]*connection: close[\s\S]*enough$/)
    assert.ok(faults[2]! - faults[0]! >= 196, String(faults))
    assert.deepEqual([seen[0]!.gone, seen[0]!.sent], [[], 1])
  })

  it('a body that stands still because it is not granted does not time out', async () => {
    const { door, seen } = await recording(
      recorder => {
        recorder.grants = false
      },
      { bodyTimeoutMs: 400 },
    )
    const client = await dial(door.port)
    client.send(`${POST}Content-Length: ${1 << 20}\r\n\r\n`)
    client.send(Buffer.alloc(1 << 20))
    await until(() => seen.length === 1 && seen[0]!.body.length > AHEAD_BYTES)
    await new Promise(resolve => setTimeout(resolve, 900))
    assert.deepEqual(seen[0]!.gone, [])
    seen[0]!.grants = true
    seen[0]!.stream.grant(seen[0]!.body.length)
    await until(() => seen[0]!.trailers !== null)
  })

  it('a client that does not take its answer is gone after sendTimeoutMs', async () => {
    const { door, seen } = await recording(recorder => recorder.stream.sendHead(200, [], 'later'), { sendTimeoutMs: 200 })
    const client = await dial(door.port)
    client.socket.pause()
    client.send(get('/'))
    await until(() => seen.length === 1)
    const block = Buffer.alloc(64 * 1024)
    for (let sent = 0; sent - seen[0]!.drained < WINDOW_BYTES && seen[0]!.gone.length === 0; sent += block.length) {
      seen[0]!.stream.sendData(block, 0, block.length)
      await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => seen[0]!.gone.length === 1)
    assert.deepEqual(seen[0]!.gone, ['stalled'])
    await until(() => door.closed === 1)
  })
})

describe('a client that ends its direction', () => {
  it('after its request still gets its answer, however late', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.socket.end(get('/x'))
    await until(() => seen.length === 1)
    // The third is sent after a second.
    await client.until(text => text.split('100 Continue').length > 3)
    echo(seen[0]!)
    // What asks whether it is still there are heads that every client skips.
    assert.match(await client.until(), /^(HTTP\/1\.1 100 Continue\r\n\r\n){3}HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*\/x$/)
    assert.deepEqual([seen[0]!.sent, seen[0]!.gone], [1, []])
    await until(() => door.closed === 1)
  })
  it('because it closes, is gone at once', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.send(get('/x'))
    await until(() => seen.length === 1)
    const passedMs = fairClock(process.pid)
    client.socket.destroy()
    await until(() => seen[0]!.gone.length === 1)
    assert.ok(passedMs() < 900, `${passedMs()} ms`)
    await until(() => door.closed === 1)
  })
  it('after several requests gets all answers', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.socket.end(get('/1') + get('/2') + get('/3'))
    for (let number = 0; number < 3; number++) {
      await until(() => seen.length === number + 1)
      await new Promise(resolve => setTimeout(resolve, 20))
      echo(seen[number]!)
    }
    const text = await client.until()
    assert.match(text, /\/1HTTP[\s\S]*\/2HTTP[\s\S]*connection: close[\s\S]*\/3$/)
    await until(() => door.closed === 1)
  })
  it('as long as its answer moves, gets it all', async () => {
    const { door, seen } = await recording(recorder => recorder.stream.sendHead(200, [], 'later'))
    const client = await dial(door.port)
    client.socket.end(get('/x'))
    await until(() => seen.length === 1)
    for (let count = 0; count < 5; count++) {
      await new Promise(resolve => setTimeout(resolve, 400))
      seen[0]!.stream.sendData(Buffer.from('moves'), 0, 5)
    }
    seen[0]!.stream.sendEnd([])
    assert.match(await client.until(), /\r\n0\r\n\r\n$/)
  })
  it('and cannot be asked whether it still waits is gone when nothing could be sent to it for a second', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.socket.end(get('/x').replace('1.1', '1.0'))
    await until(() => seen.length === 1)
    const begun = performance.now()
    await until(() => seen[0]!.gone.length === 1)
    assert.deepEqual(seen[0]!.gone, ['closed'])
    assert.ok(performance.now() - begun > 900)
    await until(() => door.closed === 1)
  })
  it('in the middle of its body is gone', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.socket.end(`${POST}Content-Length: 10\r\n\r\nhalf`)
    await until(() => seen[0]?.gone.length === 1)
    assert.deepEqual([seen[0]!.gone, seen[0]!.trailers, seen[0]!.body], [['closed'], null, 'half'])
    await until(() => door.closed === 1)
  })
  it('in the middle of a head, or before one, is let go', async () => {
    const { door, seen } = await recording()
    for (const text of ['', 'GET / HT']) {
      const client = await dial(door.port)
      client.socket.end(text)
      assert.equal(await client.until(), '')
    }
    await until(() => door.closed === 2)
    assert.equal(seen.length, 0)
  })
})

describe('a client that is reset', () => {
  it('is told at once, wherever it was', async () => {
    const { door, seen } = await recording(recorder => {
      if (recorder.stream.head.target === '/begun') recorder.stream.sendHead(200, [], 'later')
    })
    const texts = [get('/waits'), get('/begun'), `${POST}Content-Length: 10\r\n\r\nhalf`, UPGRADE]
    for (const [number, text] of texts.entries()) {
      const client = await dial(door.port)
      client.send(text)
      await until(() => seen.length === number + 1)
      client.socket.resetAndDestroy()
      await until(() => seen[number]!.gone.length === 1)
      assert.deepEqual(seen[number]!.gone, ['reset'])
    }
    await until(() => door.closed === texts.length)
    // Whoever answers now answers nobody.
    for (const one of seen) echo(one)
    for (const one of seen) one.stream.sendReset(2)
  })
})

describe('an upgrade', () => {
  const switching = (recorder: Recorder) => recorder.stream.sendHead(101, ['sec-websocket-accept', 'x', 'content-length', '0'], 'later')

  it('is answered by 101, and bytes go both ways, those that came early too', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.send(`${UPGRADE}early`)
    await until(() => seen.length === 1)
    await new Promise(resolve => setTimeout(resolve, 20))
    client.send(' and')
    await new Promise(resolve => setTimeout(resolve, 20))
    assert.equal(seen[0]!.body, '')
    switching(seen[0]!)
    assert.equal(seen[0]!.body, '')
    client.send(' late')
    seen[0]!.stream.sendData(Buffer.from('hello'), 0, 5)
    const text = await client.until(text => text.endsWith('hello'))
    assert.equal(
      text,
      'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\nhello',
    )
    await until(() => seen[0]!.body === 'early and late')
  })

  for (const first of ['client', 'service']) {
    it(`each direction ends by itself, the ${first}'s first; the last end is told`, async () => {
      const { door, seen } = await recording(switching)
      const client = await dial(door.port)
      client.send(UPGRADE)
      await client.until(text => text.includes('101'))
      const [one] = seen
      if (first === 'client') {
        client.socket.end('bye')
        await until(() => one!.trailers !== null)
        assert.equal(one!.sent, 0)
        one!.stream.sendData(Buffer.from('still here'), 0, 10)
        one!.stream.sendEnd([])
        assert.match(await client.until(), /still here$/)
      } else {
        one!.stream.sendData(Buffer.from('bye'), 0, 3)
        one!.stream.sendEnd([])
        assert.match(await client.until(), /bye$/)
        assert.equal(one!.sent, 0)
        client.socket.end('still here')
      }
      await until(() => one!.sent === 1 && door.closed === 1)
      assert.deepEqual([one!.body, one!.gone], [first === 'client' ? 'bye' : 'still here', []])
    })
  }

  it('a client that does not read, or is not granted, waits', async () => {
    const { door, seen } = await recording(recorder => {
      recorder.grants = false
      switching(recorder)
    })
    const client = await dial(door.port)
    client.send(UPGRADE)
    await client.until(text => text.includes('101'))
    client.send(Buffer.alloc(16 << 20, 'b'))
    await until(() => seen[0]!.body.length > AHEAD_BYTES)
    await new Promise(resolve => setTimeout(resolve, 100))
    assert.ok(seen[0]!.body.length <= AHEAD_BYTES + READ_BYTES)
    seen[0]!.grants = true
    seen[0]!.stream.grant(seen[0]!.body.length)
    await until(() => seen[0]!.body.length === 16 << 20)
    client.socket.resetAndDestroy()
    await until(() => seen[0]!.gone.length === 1)
  })

  it('early bytes are bounded', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.send(UPGRADE)
    client.send(Buffer.alloc(32 << 20))
    await until(() => seen.length === 1)
    await new Promise(resolve => setTimeout(resolve, 200))
    assert.ok(client.socket.writableLength > 20 << 20)
    switching(seen[0]!)
    await until(() => seen[0]!.body.length > 8 << 20)
  })

  it('that is refused ends the connection: what follows could be anything', async () => {
    const { door, seen } = await recording(recorder => recorder.answer(426, 'no'))
    const client = await dial(door.port)
    client.send(UPGRADE + get('/smuggled'))
    assert.match(await client.until(), /^HTTP\/1\.1 426 [\s\S]*connection: close\r\n\r\nno$/)
    assert.equal(seen.length, 1)
  })

  it('whose client half-closes before the 101 has nobody who waits', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.socket.end(UPGRADE)
    await until(() => seen[0]?.gone.length === 1)
    assert.deepEqual(seen[0]!.gone, ['closed'])
    await until(() => door.closed === 1)
  })
})

describe('draining', () => {
  it('an idle connection serves what comes within its grace, as its last', async () => {
    const { door } = await recording(echo)
    const client = await dial(door.port)
    client.send(get('/1'))
    await client.until(text => text.endsWith('/1'))
    for (const connection of door.connections) connection.drain()
    await new Promise(resolve => setTimeout(resolve, 300))
    client.send(get('/2'))
    assert.match(await client.until(), /connection: close\r\n\r\n\/2$/)
  })
  it('an idle connection ends after its grace', async () => {
    const { door } = await recording(echo)
    const client = await dial(door.port)
    client.send(get('/1'))
    await client.until(text => text.endsWith('/1'))
    const begun = performance.now()
    for (const connection of door.connections) connection.drain()
    await client.until()
    assert.ok(performance.now() - begun > 900)
  })
  it('a request under way is finished; its answer is the last where its head has not gone out', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.send(get('/1'))
    await until(() => seen.length === 1)
    door.draining = true
    echo(seen[0]!)
    assert.match(await client.until(), /connection: close\r\n\r\n\/1$/)
  })
  it('a connection that was told to stay ends after its grace too', async () => {
    const { door, seen } = await recording(recorder => recorder.stream.sendHead(200, [], 'later'))
    const client = await dial(door.port)
    client.send(get('/1'))
    await client.until(text => text.includes('200'))
    for (const connection of door.connections) connection.drain()
    seen[0]!.stream.sendEnd([])
    await client.until()
    client.socket.end()
    await until(() => door.closed === 1)
  })
  it('destroy is an end for everyone', async () => {
    const { door, seen } = await recording()
    const client = await dial(door.port)
    client.send(get('/1'))
    await until(() => seen.length === 1)
    for (const connection of door.connections) connection.destroy()
    await client.ended()
    await until(() => door.closed === 1)
    assert.equal(seen[0]!.gone.length, 1)
  })
})
