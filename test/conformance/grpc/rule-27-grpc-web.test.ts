// gRPC rule 27 (proxy.md D): browsers' gRPC-Web, translated to gRPC and back, over HTTP/1.1 and HTTP/2 alike.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type Answer, h2cRequest, http1Request, type Request } from '../clients.js'
import { message } from '../h2-frames.js'
import { endpoint } from '../start-proxy.js'
import { afterRead, answer, begin, messagesOf, trailersOnly } from './calls.js'
import { type Rig, startRig, valuesOf } from './rig.js'
import { RST, type WireStream } from './wire.js'

const TRAILER_FLAG = 0x80
const BINARY = 'application/grpc-web+proto'
const TEXT = 'application/grpc-web-text+proto'

/** What a gRPC-Web client makes of a body: messages, and the trailers of the last frame. */
function read(body: Buffer): { messages: string[]; trailers: Map<string, string> } {
  const frames = messagesOf(body)
  const last = frames.at(-1)
  const trailers = new Map<string, string>()
  if (last !== undefined && (last.flag & TRAILER_FLAG) !== 0) {
    frames.pop()
    const text = last.bytes.toString('latin1')
    assert.ok(text.endsWith('\r\n'), JSON.stringify(text))
    for (const line of text.slice(0, -2).split('\r\n')) {
      const colon = line.indexOf(':')
      assert.match(line.slice(0, colon), /^[a-z0-9._-]+$/, 'names are lower case')
      trailers.set(line.slice(0, colon), line.slice(colon + 1).trim())
    }
  }
  assert.ok(frames.every(({ flag }) => flag === 0))
  return { messages: frames.map(({ bytes }) => String(bytes)), trailers }
}

/** Base64 in pieces, each of which may be padded. */
function unbase64(text: string): Buffer {
  assert.match(text, /^[A-Za-z0-9+/=]*$/)
  return Buffer.concat((text.match(/[A-Za-z0-9+/]+={0,2}/g) ?? []).map(piece => Buffer.from(piece, 'base64')))
}

const FORMS = [
  { title: 'binary', type: BINARY, pack: (bytes: Buffer) => bytes, unpack: (text: string) => Buffer.from(text, 'latin1') },
  { title: 'text', type: TEXT, pack: (bytes: Buffer) => Buffer.from(bytes.toString('base64')), unpack: unbase64 },
]

describe('rule 27: gRPC-Web', () => {
  let rig: Rig
  const protocols: { title: string; ask(request: Request): Promise<Answer> }[] = [
    { title: 'HTTP/1.1', ask: request => http1Request(rig.proxy.port, request) },
    {
      title: 'HTTP/2',
      ask: async request => {
        const session = connect(`http://127.0.0.1:${rig.proxy.port}`)
        try {
          return await h2cRequest(session, request)
        } finally {
          session.destroy()
        }
      },
    },
  ]
  before(async () => {
    rig = await startRig({
      route: { grpcWeb: true },
      routes: port => [
        { prefix: '/none/', protocol: 'h2c', holdMs: 0, grpcWeb: true, endpoints: [endpoint(port, { ready: false })] },
        { prefix: '/off/', protocol: 'h2c', grpcWeb: false, endpoints: [endpoint(port)] },
      ],
    })
  })
  beforeEach(() => {
    rig.act = answer
  })
  after(() => rig.close())

  for (const { title: over, ask } of protocols) {
    for (const { title, type, pack, unpack } of FORMS) {
      const call = (body: Buffer, more: Record<string, string> = {}, path = '/s/x.Y/Z') =>
        ask({ method: 'POST', path, headers: { 'content-type': type, 'x-grpc-web': '1', accept: type, ...more }, body: pack(body) })

      it(`${title} over ${over}: plain gRPC to the service, the trailers in the body's last frame`, async () => {
        rig.act = stream => {
          begin(stream, 'one')
          stream.wire.data(stream.id, message('two'))
          const trailers: [string, string][] = [
            ['grpc-status', '5'],
            ['grpc-message', 'not%20here: %C3%A9'],
            ['x-more-bin', 'AAEC'],
          ]
          stream.wire.headers(stream.id, trailers, 'end')
        }
        const sent = Buffer.concat([message('\x00\x01\xff'), message('')])
        const told = await call(sent, { 'x-own': 'yes' })
        const seen = rig.seen()
        assert.deepEqual(
          ['content-type', 'te', 'x-own'].map(name => valuesOf(seen.head, name).join()),
          ['application/grpc+proto', 'trailers', 'yes'],
        )
        // Base64 is longer: whatever length goes on must be that of the messages.
        assert.ok([undefined, String(sent.length)].includes(seen.field('content-length')))
        assert.deepEqual(
          messagesOf(seen.body).map(({ flag, bytes }) => [flag, bytes.toString('hex')]),
          [
            [0, '0001ff'],
            [0, ''],
          ],
        )
        assert.deepEqual([told.status, told.headers['content-type'], told.trailers], [200, type, {}])
        const { messages, trailers } = read(unpack(told.body))
        assert.deepEqual(messages, ['one', 'two'])
        assert.deepEqual(
          [...trailers],
          [
            ['grpc-status', '5'],
            ['grpc-message', 'not%20here: %C3%A9'],
            ['x-more-bin', 'AAEC'],
          ],
        )
        assert.equal(told.headers['grpc-status'], undefined)
      })

      it(`${title} over ${over}: an error before the head stands in the head, the body is empty`, async () => {
        rig.act = stream => trailersOnly(stream, 7, [['grpc-message', 'no']])
        for (const [told, status] of [
          [await call(message('x')), '7'],
          [await call(message('x'), {}, '/none/x.Y/Z'), '14'],
        ] as const) {
          assert.deepEqual([told.status, told.headers['grpc-status'], told.body], [200, status, ''])
          assert.equal(told.headers['content-type'], type)
          assert.ok(String(told.headers['grpc-message']).length > 0)
        }
      })

      it(`${title} over ${over}: an error after the head comes as the last frame`, async () => {
        rig.act = stream => {
          begin(stream, 'part')
          void afterRead(stream.wire, () => stream.wire.reset(stream.id, RST.INTERNAL))
        }
        const { messages, trailers } = read(unpack((await call(message('x'))).body))
        assert.deepEqual([messages, trailers.get('grpc-status')], [['part'], '13'])
      })

      it(`${title} over ${over}: a plain HTTP error is mapped as for gRPC, and deadlines hold`, async () => {
        rig.act = ({ wire, id }: WireStream) => wire.headers(id, [[':status', '503']], 'end')
        assert.equal((await call(message('x'))).headers['grpc-status'], '14')
        rig.act = () => {}
        const late = await call(message('x'), { 'grpc-timeout': '150m' })
        assert.equal(late.headers['grpc-status'], '4')
        assert.match(rig.seen().field('grpc-timeout')!, /^[0-9]+[num]$/)
      })
    }

    it(`text over ${over}: a body that is no base64 is 13, as a call's other errors`, async () => {
      const told = await ask({ method: 'POST', path: '/s/x.Y/Z', headers: { 'content-type': TEXT }, body: Buffer.from('no*base64') })
      assert.deepEqual([told.status, told.headers['grpc-status'], told.body], [200, '13', ''])
      assert.match(String(told.headers['grpc-message']), /^REQUEST_MALFORMED/)
    })

    it(`text over ${over}: a body of base64 pieces, cut and padded anywhere`, async () => {
      const whole = Buffer.concat(Array.from({ length: 50 }, (_, at) => message(`message number ${at}`)))
      const pieces: string[] = []
      for (let at = 0, size = 1; at < whole.length; at += size, size = (size % 7) + 1)
        pieces.push(whole.subarray(at, at + size).toString('base64'))
      const told = await ask({ method: 'POST', path: '/s/x.Y/Z', headers: { 'content-type': TEXT }, body: pieces.join('') })
      assert.equal(read(unbase64(told.body)).trailers.get('grpc-status'), '0')
      assert.ok(rig.seen().body.equals(whole))
    })

    it(`over ${over}: a browser's preflight is answered here, and the answer may be read by its page`, async () => {
      const known = rig.service.calls.length
      const preflight = await ask({
        method: 'OPTIONS',
        path: '/s/x.Y/Z',
        headers: {
          origin: 'https://page.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type,x-grpc-web,x-user-agent,x-own',
        },
      })
      assert.ok(preflight.status === 204 || preflight.status === 200, `${preflight.status}`)
      const word = (name: string) => String(preflight.headers[name] ?? '').toLowerCase()
      assert.match(word('access-control-allow-origin'), /^(\*|https:\/\/page\.example)$/)
      assert.match(word('access-control-allow-methods'), /\bpost\b/)
      for (const name of ['content-type', 'x-grpc-web', 'x-user-agent', 'x-own'])
        assert.ok(word('access-control-allow-headers').includes(name))
      assert.equal(rig.service.calls.length, known)
      const told = await ask({
        method: 'POST',
        path: '/s/x.Y/Z',
        headers: { 'content-type': BINARY, origin: 'https://page.example' },
        body: message('x'),
      })
      assert.match(String(told.headers['access-control-allow-origin']), /^(\*|https:\/\/page\.example)$/)
      for (const name of ['grpc-status', 'grpc-message']) assert.ok(String(told.headers['access-control-expose-headers']).includes(name))
    })
  }

  it('a route without it passes the bytes on as they are', async () => {
    rig.act = ({ wire, id, chunks }) => {
      wire.headers(
        id,
        [
          [':status', '200'],
          ['content-type', BINARY],
        ],
        'more',
      )
      for (const chunk of chunks) wire.data(id, chunk)
      wire.data(id, Buffer.alloc(0), 'end')
    }
    const [http1] = protocols
    const told = await http1!.ask({ method: 'POST', path: '/off/x.Y/Z', headers: { 'content-type': BINARY }, body: message('as it is') })
    assert.deepEqual([rig.seen().field('content-type'), told.headers['content-type']], [BINARY, BINARY])
    assert.equal(told.body, message('as it is').toString('latin1'))
  })
})
