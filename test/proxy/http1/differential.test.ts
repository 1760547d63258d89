// Fuzz: our parsers against themselves in every cut, and against node's llhttp: what we take, a service behind us must understand the same way.
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Chance, mutatedStream, Reader } from './reading.js'

const ROUNDS = 200_000

describe('two hundred thousand mutated streams', () => {
  it('neither throw, nor hang, nor grow, and mean the same whatever their cut', () => {
    const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
    const chance = new Chance(seed)
    const reader = new Reader()
    let taken = 0
    let heapBefore = 0
    for (let round = 0; round < ROUNDS; round++) {
      if (round === ROUNDS / 4) heapBefore = process.memoryUsage().heapUsed
      const bytes = mutatedStream(chance)
      const whole = reader.read(bytes, bytes.length || 1)
      taken += whole.requests.length
      if (round % 4 !== 0) continue
      const cut = reader.read(bytes, 1 + chance.below(7))
      const facts = `FUZZ_SEED=${seed}, round ${round}: ${JSON.stringify(bytes.toString('latin1'))}`
      // A cut stream may be refused earlier or with other words, never later.
      assert.deepEqual(cut.requests, whole.requests.slice(0, cut.requests.length), facts)
      assert.equal(cut.fault === '', whole.fault === '', facts)
      if (cut.requests.length < whole.requests.length) assert.notEqual(cut.fault, '', facts)
    }
    assert.ok(taken > ROUNDS / 2, `only ${taken} requests were taken: the mutations are too wild to say anything`)
    const grown = process.memoryUsage().heapUsed - heapBefore
    assert.ok(grown < 64 << 20, `the heap has grown by ${grown} bytes`)
  })
})

/** What llhttp makes of the same bytes. */
interface Theirs {
  requests: { method: string; target: string; fields: string[]; body: string; isComplete: boolean }[]
  code: string
}

const server = createServer({ insecureHTTPParser: false, requireHostHeader: false, maxHeaderSize: 8192, keepAliveTimeout: 0 })
server.maxHeadersCount = 0
const results = new WeakMap<object, Theirs>()
const collect = (message: IncomingMessage) => {
  const theirs = results.get(message.socket)!
  const request = { method: message.method!, target: message.url!, fields: lowered(message.rawHeaders), body: '', isComplete: false }
  theirs.requests.push(request)
  message.on('data', chunk => {
    request.body += chunk.toString('latin1')
  })
  message.on('end', () => {
    request.isComplete = true
  })
  message.on('error', () => {})
}
server.on('request', (message, response) => {
  collect(message)
  // Answers that are never sent would stop the reading of pipelined requests.
  response.on('error', () => {})
  message.on('end', () => response.end())
})
server.on('checkContinue', (message, response) => {
  collect(message)
  message.on('end', () => response.end())
})
server.on('checkExpectation', (message, response) => {
  collect(message)
  message.on('end', () => response.end())
})
server.on('connect', (message, socket) => {
  collect(message)
  socket.destroy()
})
server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
  const theirs = results.get(socket)
  if (theirs !== undefined) theirs.code ||= error.code ?? 'ERROR'
  socket.destroy()
})

async function readByLlhttp(bytes: Buffer): Promise<Theirs> {
  const theirs: Theirs = { requests: [], code: '' }
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  results.set(socket, theirs)
  socket.on('error', () => {})
  server.emit('connection', socket)
  socket.push(bytes)
  let last = ''
  // Its events come over several turns: until two turns in a row have brought nothing.
  for (let quiet = 0; quiet < 3; ) {
    await new Promise(resolve => setImmediate(resolve))
    const now = `${theirs.code} ${theirs.requests.map(request => `${request.body.length}${request.isComplete}`)}`
    quiet = now === last ? quiet + 1 : 0
    last = now
  }
  socket.destroy()
  return theirs
}

function lowered(raw: string[]): string[] {
  const fields: string[] = []
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    if (name !== 'host') fields.push(name, raw[at + 1]!)
  }
  return fields
}

// Where llhttp refuses what we take, nothing can be smuggled: the service answers 400 and closes.
const THEY_MAY_REFUSE = new Set([
  // It knows a list of methods; we pass every word in capitals.
  'HPE_INVALID_METHOD',
  // What a target is, is core/route.ts's business: it refuses these too.
  'HPE_INVALID_URL',
  // It reads the grammar of chunk extensions; we drop them whatever they say.
  'HPE_INVALID_CHUNK_SIZE',
  'HPE_STRICT',
  // A TAB behind these values is space around a value (RFC 9110 5.5), which does not go on.
  'HPE_INVALID_TRANSFER_ENCODING',
  'HPE_INVALID_CONTENT_LENGTH',
])

const CLOSES_FOR_A_TAB = /^connection:.*\t/im

/** Gives llhttp the requests that we took whole, and nothing else: it must see the same ones, and nothing behind them. */
async function compare(bytes: Buffer): Promise<number> {
  const ours = new Reader().read(bytes, bytes.length || 1).requests.filter(request => request.isComplete)
  // Behind an Upgrade that it does not take up, node reads nothing more; ours never goes on (core/headers.ts).
  const last = ours.findIndex(request => request.isLast || request.fields.includes('upgrade'))
  if (last !== -1) ours.length = last + 1
  if (ours.length === 0) return 0
  const taken = bytes.subarray(0, ours.at(-1)!.end)
  const theirs = await readByLlhttp(taken)
  if (THEY_MAY_REFUSE.has(theirs.code)) return 0
  // `keep-alive` with a tab behind it, which is blank space (RFC 9110 5.6.3): llhttp does not take it for the word, and ends an HTTP/1.0 connection there.
  if (theirs.code === 'HPE_CLOSED_CONNECTION' && CLOSES_FOR_A_TAB.test(taken.toString('latin1'))) return 0
  const facts = JSON.stringify(taken.toString('latin1'))
  assert.equal(theirs.code, '', facts)
  // An Upgrade that it does not take up, and Transfer-Encoding among the trailers: it waits for more.  Neither goes on (core/headers.ts).
  if (ours.at(-1)!.fields.includes('upgrade') && theirs.requests.at(-1)?.isComplete === false) return 0
  const mine = ours.map(({ method, target, fields, body }) => ({ method, target, fields, body, isComplete: true }))
  assert.deepEqual(theirs.requests, mine, facts)
  return ours.length
}

describe('whatever we take, llhttp understands the same', () => {
  it('method, target, fields, and where every body ends', async () => {
    let compared = 0
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 - 1 }), async seed => {
        const bytes = mutatedStream(new Chance(seed))
        compared += await compare(bytes)
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 4000), includeErrorInReport: true },
    )
    assert.ok(compared > 3000, `${compared} requests were read by both`)
  })

  // Where two readers once differed, here or elsewhere; each is a stream that an attacker would send.
  const ATTACKS: [string, string][] = [
    [
      'TE.CL',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5c\r\nGET /smuggled HTTP/1.1\r\n\r\n0\r\n\r\n',
    ],
    ['CL.TE', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG'],
    ['TE.TE, the second hidden', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n0\r\n\r\n'],
    [
      'a coding behind a tab',
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n',
    ],
    ['a bare LF that hides a field', 'POST / HTTP/1.1\r\nHost: h\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [
      'an extension that hides a line end',
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n4c\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n',
    ],
    ['a size that wraps', 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n0\r\n\r\n'],
    ['a body to GET', 'GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\nA: b\r\n\r\n'],
    ['an empty line before the next', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a CR before the next', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx\rGET /next HTTP/1.1\r\nHost: h\r\n\r\n'],
  ]
  for (const [title, text] of ATTACKS) {
    it(title, async () => {
      const bytes = Buffer.from(text, 'latin1')
      await compare(bytes)
      const ours = new Reader().read(bytes, bytes.length)
      assert.ok(ours.requests.every(request => request.target !== '/smuggled'))
    })
  }
})
