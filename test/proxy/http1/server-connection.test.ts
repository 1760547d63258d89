// The client's side of HTTP/1.1: keep-alive, pipelining, bodies with credit, framing of answers, limits, and every end.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Fields } from '../../../src/core/headers.js'
import { AHEAD_BYTES } from '../../../src/proxy/http1/read-credit.js'
import { NOTHING_MARKED } from '../../../src/proxy/http2/hpack/never-indexed.js'
import { WINDOW_BYTES } from '../../../src/proxy/stream.js'
import { type Door, dial, openDoor, Recorder, until } from './loopback.js'

/** One read may come after reading was paused. */
const READ_BYTES = 64 * 1024

const H = 'Host: h\r\n'
const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${H}${fields}\r\n`
const post = (fields: string, body = '') => `POST /w HTTP/1.1\r\n${H}${fields}\r\n${body}`

/** A door that records every request; `act` answers it or not. */
async function recording(
  act: (recorder: Recorder, number: number) => void,
  change: Parameters<typeof openDoor>[1] = {},
): Promise<{ door: Door; seen: Recorder[] }> {
  const seen: Recorder[] = []
  const door = await openDoor(stream => {
    const recorder = new Recorder(stream)
    seen.push(recorder)
    act(recorder, seen.length - 1)
  }, change)
  return { door, seen }
}

const echo = (recorder: Recorder) => recorder.answer(200, recorder.stream.head.target)
const statuses = (text: string) => (text.match(/HTTP\/1\.1 [0-9]{3}/g) ?? []).map(line => Number(line.slice(9)))

describe('requests on one connection', () => {
  it('one after the other: each is answered, the connection stays, and its fields are told', async () => {
    const { door, seen } = await recording(echo)
    const client = await dial(door.port)
    for (let number = 1; number <= 3; number++) {
      client.send(get(`/${number}`, 'X-A: b\r\n'))
      await client.until(text => text.endsWith(`/${number}`))
    }
    assert.deepEqual(statuses(client.text()), [200, 200, 200])
    assert.doesNotMatch(client.text(), /connection:/)
    const { head } = seen[2]!.stream
    assert.deepEqual(head, {
      protocol: 'http1',
      version: 'HTTP/1.1',
      method: 'GET',
      target: '/3',
      scheme: 'http',
      authority: 'h',
      fields: ['x-a', 'b'],
      bodyless: true,
      contentLength: 0,
      upgrade: null,
      client: '127.0.0.1',
      neverIndexed: NOTHING_MARKED,
    })
    assert.equal(door.connections.length, 1)
  })

  it('F27 pipelined: the next begins when the last is answered, in order, also when all is in one piece', async () => {
    const { door, seen } = await recording(() => {})
    const client = await dial(door.port)
    client.send(
      get('/1') + post('Content-Length: 3\r\n', 'abc') + post('Transfer-Encoding: chunked\r\n', '1\r\nx\r\n0\r\n\r\n') + get('/4'),
    )
    for (let number = 0; number < 4; number++) {
      await until(() => seen.length === number + 1 && seen[number]!.trailers !== null)
      seen[number]!.answer(200, String(number))
    }
    await client.until(text => text.endsWith('3'))
    assert.deepEqual(
      seen.map(one => one.body),
      ['', 'abc', 'x', ''],
    )
    assert.equal(client.text().replace(/HTTP[\s\S]*?\r\n\r\n/g, ''), '0123')
  })

  it('a thousand pipelined requests that are answered at once need no stack', async () => {
    const { door, seen } = await recording(echo)
    const client = await dial(door.port)
    client.send(get('/w').repeat(1000) + get('/last', 'Connection: close\r\n'))
    assert.equal(statuses(await client.until()).length, 1001)
    assert.equal(seen.length, 1001)
  })

  it('pipelined bytes beyond a bound stop the reading', async () => {
    const { door, seen } = await recording(() => {})
    const client = await dial(door.port)
    client.send(get('/1'))
    await until(() => seen.length === 1)
    client.send(Buffer.alloc(32 << 20, get('/2')))
    await new Promise(resolve => setTimeout(resolve, 200))
    assert.ok(client.socket.writableLength > 20 << 20, `${client.socket.writableLength} bytes are still with the client`)
    seen[0]!.answer(200, 'first')
    await until(() => seen.length === 2)
    client.socket.destroy()
  })

  it('F26 what follows a body is the next request, parsed as strictly', async () => {
    const { door, seen } = await recording(recorder => recorder.answer(200, 'x'))
    const client = await dial(door.port)
    client.send(post('Content-Length: 2\r\n', 'okSMUGGLED\r\n\r\n'))
    assert.deepEqual(statuses(await client.until()), [200, 400])
    assert.equal(seen.length, 1)
  })

  for (const [title, head, closes] of [
    ['HTTP/1.1', `GET / HTTP/1.1\r\n${H}\r\n`, false],
    ['HTTP/1.1 with Connection: close', get('/', 'Connection: close\r\n'), true],
    ['HTTP/1.1 with Connection: Foo, CLOSE', get('/', 'Connection: Foo, CLOSE\r\n'), true],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', true],
    ['HTTP/1.0 with Connection: keep-alive', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', false],
  ] as const) {
    it(`${title} ${closes ? 'ends' : 'keeps'} the connection`, async () => {
      const { door } = await recording(echo)
      const client = await dial(door.port)
      client.send(head)
      if (closes) assert.match(await client.until(), /\r\nconnection: close\r\n/)
      else {
        await client.until(text => text.endsWith('/'))
        client.send(get('/again'))
        await client.until(text => text.endsWith('/again'))
        assert.equal(/connection: keep-alive/.test(client.text()), head.includes('1.0'))
      }
    })
  }

  it('maxRequestsPerConnection: the last answer says so', async () => {
    const { door } = await recording(echo, { maxRequestsPerConnection: 2 })
    const client = await dial(door.port)
    client.send(get('/1') + get('/2') + get('/3'))
    const text = await client.until()
    assert.deepEqual(statuses(text), [200, 200])
    assert.equal(text.indexOf('connection: close'), text.lastIndexOf('connection: close'))
  })
})

describe('an answer', () => {
  const rows: [string, string, (recorder: Recorder) => void, RegExp][] = [
    ['of known length has it', get('/'), r => r.answer(200, 'four'), /^HTTP\/1\.1 200 OK\r\ncontent-length: 4\r\n\r\nfour$/],
    ['of unknown length is chunked', get('/'), r => r.answer(200, 'four', []), /transfer-encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n$/],
    [
      'of unknown length to HTTP/1.0 ends with the connection',
      'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      r => r.answer(200, 'four', []),
      /200 OK\r\nconnection: close\r\n\r\nfour$/,
    ],
    ['without a body says so', get('/'), r => r.stream.sendHead(404, [], 'now'), /404 Not Found\r\ncontent-length: 0\r\n\r\n$/],
    ['to HEAD keeps its length and has no body', `HEAD / HTTP/1.1\r\n${H}\r\n`, r => r.answer(200, 'four'), /content-length: 4\r\n\r\n$/],
    [
      'to HEAD of unknown length has no body',
      `HEAD / HTTP/1.1\r\n${H}\r\n`,
      r => r.stream.sendHead(200, ['x', 'y'], 'now'),
      /200 OK\r\nx: y\r\n\r\n$/,
    ],
    ['204 has neither length nor body', get('/'), r => r.answer(204, 'four'), /204 No Content\r\n\r\n$/],
    [
      '304 keeps the length it is told',
      get('/'),
      r => r.stream.sendHead(304, ['content-length', '9'], 'now'),
      /304 Not Modified\r\ncontent-length: 9\r\n\r\n$/,
    ],
    ['with a status of its own passes', get('/'), r => r.answer(299, ''), /^HTTP\/1\.1 299 \r\n/],
    [
      'with fields beyond latin1 has no line end of them',
      get('/'),
      r => r.answer(200, '', ['x', 'a\u010d\u010ab', 'content-length', '0']),
      /x: a\?\?b\r\n/,
    ],
  ]
  for (const [title, request, act, expected] of rows) {
    it(title, async () => {
      const { door, seen } = await recording(act)
      const client = await dial(door.port)
      client.send(request)
      await until(() => seen[0]?.sent === 1)
      assert.match(await client.until(text => expected.test(text)), expected)
    })
  }

  it('trailers go out with chunks, and nowhere else', async () => {
    const { door } = await recording((recorder, number) => {
      recorder.stream.sendHead(200, number === 0 ? [] : ['content-length', '1'], 'later')
      recorder.stream.sendData(Buffer.from('x'), 0, 1)
      recorder.stream.sendEnd(['x-sum', '42'])
    })
    const client = await dial(door.port)
    client.send(get('/') + get('/'))
    const text = await client.until(text => text.endsWith('1\r\n\r\nx'))
    assert.match(text, /0\r\nx-sum: 42\r\n\r\nHTTP/)
    assert.equal(text.match(/x-sum/g)!.length, 1)
  })

  it('informational heads come before it with all their fields, and not to HTTP/1.0', async () => {
    const { door } = await recording(recorder => {
      recorder.stream.sendInformational(102, [])
      recorder.stream.sendInformational(103, ['link', '</a>', 'link', '</b>', 'x', 'y'])
      echo(recorder)
      recorder.stream.sendInformational(103, [])
    })
    const client = await dial(door.port)
    client.send(get('/'))
    const text = await client.until(text => text.endsWith('/'))
    assert.ok(
      text.startsWith('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\nx: y\r\n\r\nHTTP/1.1 200 OK'),
    )
    const old = await dial(door.port)
    old.send('GET / HTTP/1.0\r\n\r\n')
    assert.deepEqual(statuses(await old.until()), [200])
  })

  for (const [title, act] of [
    ['shorter than its length', (r: Recorder) => r.answer(200, 'x', ['content-length', '2'])],
    ['of 101 that was not asked for', (r: Recorder) => r.stream.sendHead(101, [], 'later')],
    ['longer than its length', (r: Recorder) => r.answer(200, 'xyz', ['content-length', '2'])],
    [
      'that is taken back',
      (r: Recorder) => {
        r.stream.sendHead(200, [], 'later')
        r.stream.sendReset(2)
      },
    ],
  ] as const) {
    it(`${title} ends with a reset, never as if complete`, async () => {
      const { door, seen } = await recording(act)
      const client = await dial(door.port)
      client.send(get('/'))
      assert.equal(await client.ended(), 'ECONNRESET')
      assert.equal(seen[0]!.sent, 0)
      await until(() => door.closed === 1)
    })
  }

  it('to a client that does not read waits in bounds, and goes on when it reads', async () => {
    const { door, seen } = await recording(recorder => recorder.stream.sendHead(200, [], 'later'))
    const client = await dial(door.port)
    client.socket.pause()
    client.send(get('/'))
    await until(() => seen.length === 1)
    const block = Buffer.alloc(64 * 1024, 'b')
    let sent = 0
    const push = () => {
      while (sent - seen[0]!.drained < WINDOW_BYTES && sent < 64 << 20) {
        seen[0]!.stream.sendData(block, 0, block.length)
        sent += block.length
      }
    }
    for (let turn = 0; turn < 200; turn++) {
      push()
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.ok(sent < 32 << 20 && seen[0]!.drained < sent, `${sent} sent, ${seen[0]!.drained} drained`)
    seen[0]!.stream.sendEnd([])
    assert.equal(seen[0]!.sent, 0)
    client.socket.resume()
    await until(() => seen[0]!.sent === 1)
    assert.equal(seen[0]!.drained, sent)
    await client.until(text => text.endsWith('\r\n0\r\n\r\n'))
  })
})

describe('a request’s body', () => {
  const chunks = '3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n'
  for (const [title, fields, sent, trailers] of [
    ['by length', 'Content-Length: 7\r\n', 'abcdefg', []],
    ['in chunks', 'Transfer-Encoding: chunked\r\n', chunks, ['x-sum', '7']],
  ] as [string, string, string, Fields][]) {
    for (const pace of ['in one piece', 'byte by byte']) {
      it(`${title}, ${pace}`, async () => {
        const { door, seen } = await recording(() => {})
        const client = await dial(door.port)
        const text = post(fields, sent)
        if (pace === 'in one piece') client.send(text)
        else {
          for (const char of text) {
            client.send(char)
            await new Promise(resolve => setImmediate(resolve))
          }
        }
        await until(() => seen[0]?.trailers != null)
        assert.deepEqual([seen[0]!.body, seen[0]!.trailers], ['abcdefg', trailers])
        assert.equal(seen[0]!.stream.head.bodyless, false)
        assert.equal(seen[0]!.stream.head.contentLength, title === 'by length' ? 7 : -1)
        echo(seen[0]!)
        client.send(get('/next'))
        await until(() => seen.length === 2)
      })
    }
  }

  it('is read only as far as it is granted', async () => {
    const { door, seen } = await recording(recorder => {
      recorder.grants = false
    })
    const client = await dial(door.port)
    const size = 16 << 20
    client.send(post(`Content-Length: ${size}\r\n`))
    client.send(Buffer.alloc(size, 'b'))
    await until(() => seen.length === 1 && seen[0]!.body.length > AHEAD_BYTES)
    await new Promise(resolve => setTimeout(resolve, 200))
    const first = seen[0]!.body.length
    assert.ok(first > AHEAD_BYTES && first <= AHEAD_BYTES + READ_BYTES, `${first} bytes without a grant`)
    seen[0]!.stream.grant(100_000)
    await until(() => seen[0]!.body.length > first)
    assert.ok(seen[0]!.body.length <= AHEAD_BYTES + READ_BYTES + 100_000)
    seen[0]!.grants = true
    seen[0]!.stream.grant(seen[0]!.body.length - 100_000)
    await until(() => seen[0]!.trailers !== null)
    assert.equal(seen[0]!.body.length, size)
  })

  it('F23 that is malformed is 400 before the answer, and nothing behind it is a request', async () => {
    const { door, seen } = await recording(() => {})
    const client = await dial(door.port)
    client.send(post('Transfer-Encoding: chunked\r\n', `5\r\nhelloXX0\r\n\r\n${get('/smuggled')}`))
    const text = await client.until()
    assert.deepEqual(statuses(text), [400])
    assert.match(text, /connection: close\r\n\r\na chunk or its size does not end with CRLF$/)
    assert.deepEqual([seen.length, seen[0]!.faults, seen[0]!.gone, seen[0]!.sent], [1, ['REQUEST_MALFORMED'], [], 1])
  })

  it('that is malformed once the whole answer is out ends the connection, and nothing behind it is a request', async () => {
    const { door, seen } = await recording(recorder => {
      recorder.requestFault = () => {}
      recorder.stream.sendHead(200, ['content-length', '2'], 'later')
    })
    const client = await dial(door.port)
    client.send(post('Transfer-Encoding: chunked\r\n', '5\r\nhello'))
    await client.until(text => text.includes('200'))
    client.send(`XX0\r\n\r\n${get('/smuggled')}`)
    await new Promise(resolve => setTimeout(resolve, 20))
    seen[0]!.stream.sendData(Buffer.from('ok'), 0, 2)
    seen[0]!.stream.sendEnd([])
    assert.deepEqual(statuses(await client.until()), [200])
    assert.deepEqual([seen.length, seen[0]!.sent], [1, 1])
  })

  it('that is malformed when the answer has begun ends with a reset', async () => {
    const { door, seen } = await recording(recorder => recorder.stream.sendHead(200, [], 'later'))
    const client = await dial(door.port)
    client.send(post('Transfer-Encoding: chunked\r\n', '5\r\nhello'))
    await client.until(text => text.includes('200'))
    client.send('XX')
    assert.equal(await client.ended(), 'ECONNRESET')
    assert.deepEqual([seen[0]!.faults, seen[0]!.gone], [['REQUEST_MALFORMED'], []])
  })

  it('that nobody wants is read to its end where it is short, and the connection is kept', async () => {
    const { door, seen } = await recording(echo)
    const client = await dial(door.port)
    client.send(post('Content-Length: 100000\r\n'))
    await client.until(text => text.endsWith('/w'))
    assert.equal(seen[0]!.sent, 1)
    client.send('b'.repeat(100_000) + get('/next'))
    await client.until(text => text.endsWith('/next'))
  })

  it('that nobody wants and that is long ends the connection, and the client can read its answer', async () => {
    const { door } = await recording(recorder => recorder.answer(413, 'too much'))
    const client = await dial(door.port)
    client.send(post(`Content-Length: ${8 << 20}\r\n`))
    await client.until(text => text.endsWith('too much'))
    client.send(Buffer.alloc(8 << 20))
    await client.ended()
    await until(() => door.closed === 1)
    assert.match(client.text(), /413[\s\S]*too much$/)
  })
})

describe('Expect: 100-continue', () => {
  const head = post('Expect: 100-continue\r\nContent-Length: 4\r\n')
  it('the 100 is the service’s; the body follows, and the connection is kept', async () => {
    const { door, seen } = await recording(recorder => setImmediate(() => recorder.stream.sendInformational(100, [])))
    const client = await dial(door.port)
    client.send(head)
    assert.equal(await client.until(text => text.includes('\r\n\r\n')), 'HTTP/1.1 100 Continue\r\n\r\n')
    client.send('body')
    await until(() => seen[0]!.trailers !== null)
    echo(seen[0]!)
    assert.doesNotMatch(await client.until(text => text.endsWith('/w')), /connection: close/)
  })
  it('an answer without it ends the connection: nobody knows whether the body comes', async () => {
    const { door, seen } = await recording(recorder => recorder.answer(413, 'no'))
    const client = await dial(door.port)
    client.send(head)
    assert.match(await client.until(), /413[\s\S]*connection: close\r\n\r\nno$/)
    client.send(get('/'))
    await until(() => door.closed === 1)
    assert.equal(seen.length, 1)
  })
  it('HTTP/1.0 cannot expect anything', async () => {
    const { door } = await recording(recorder => {
      recorder.stream.sendInformational(100, [])
      echo(recorder)
    })
    const client = await dial(door.port)
    client.send(`POST /w HTTP/1.0\r\n${H}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx`)
    assert.deepEqual(statuses(await client.until()), [200])
  })
})

describe('a refused head', () => {
  for (const [title, bytes, status] of [
    ['malformed', get('/', 'X : y\r\n'), 400],
    ['malformed before its end', 'GET / HTTP/1.1\nHost: h\n', 400],
    ['too large', get('/', `X: ${'y'.repeat(70_000)}\r\n`), 431],
    ['a target too long', `GET /${'y'.repeat(100_000)} HTTP/1.1\r\n${H}\r\n`, 414],
    ['a coding nobody knows', post('Transfer-Encoding: gzip\r\n'), 501],
    ['a version nobody speaks', 'GET / HTTP/2.0\r\n\r\n', 505],
    ['an expectation nobody knows', get('/', 'Expect: foo\r\n'), 417],
    ['F72 the preface of HTTP/2 after a request', `${get('/')}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, 400],
  ] as const) {
    it(`${title}: ${status} as JSON, the connection ends, and what follows is nobody’s`, async () => {
      const { door, seen } = await recording(echo)
      const client = await dial(door.port)
      client.send(bytes + get('/after').repeat(100))
      const text = await client.until()
      assert.equal(statuses(text).at(-1), status)
      assert.match(text, /connection: close\r\n\r\n\{"error":\{"code":"[A-Z_]+","message":"[^"]+","hint":".+"\}\}\n$/)
      assert.ok(seen.every(one => one.stream.head.target !== '/after'))
      client.socket.end()
      await until(() => door.closed === 1)
    })
  }
})
