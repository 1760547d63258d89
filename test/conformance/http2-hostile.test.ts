// HTTP/2 requests that must not get through: refused with 400 or a reset, and no service hears of them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as netConnect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { FLAG, frame, headerBlock, TYPE } from './h2-frames.js'
import { http1Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

describe('h2c requests that reach nobody', () => {
  let origin: Origin
  let proxy: TestProxy
  before(async () => {
    origin = await http1Origin()
    proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })
  const base: [string, string][] = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/w/x'],
    [':authority', 'h'],
  ]
  const change = (name: string, value: string): [string, string][] => base.map(([key, old]) => [key, key === name ? value : old])
  const rows: [string, [string, string][]][] = [
    ['an upper-case field name', [...base, ['X-Upper', '1']]],
    ['transfer-encoding', [...base, ['transfer-encoding', 'chunked']]],
    ['connection', [...base, ['connection', 'close']]],
    ['keep-alive', [...base, ['keep-alive', '5']]],
    ['upgrade', [...base, ['upgrade', 'websocket']]],
    ['te: gzip', [...base, ['te', 'gzip']]],
    ['host that differs from :authority', [...base, ['host', 'other']]],
    ['neither :authority nor host', base.slice(0, 3)],
    ['an empty :authority', change(':authority', '')],
    ['userinfo in :authority', change(':authority', 'u@h')],
    ['an empty :path', change(':path', '')],
    [':path without a slash', change(':path', 'w/x')],
    [':path with a space', change(':path', '/w/ x')],
    [':path with a fragment', change(':path', '/w/x#y')],
    [':method with a space', change(':method', 'GE T')],
    ['no :path', base.filter(([name]) => name !== ':path')],
    ['two :path', [...base, [':path', '/w/y']]],
    ['an unknown pseudo field', [...base, [':other', '1']]],
    ['a pseudo field after a plain one', [['x-a', '1'], ...base]],
    [':status in a request', [...base, [':status', '200']]],
    ['two content-length', [...base, ['content-length', '0'], ['content-length', '1']]],
  ]
  for (const [title, fields] of rows) {
    it(`${title}: 400 or a reset, and the service sees nothing`, async () => {
      const frames = await rawH2(proxy.port, frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 1, headerBlock(fields)))
      assert.equal(origin.seen.length, 0)
      const answered = frames.find(one => one.type === TYPE.HEADERS)
      // A HEADERS frame of ours begins with the status: 400 is in HPACK's static table (12).
      if (answered !== undefined) assert.equal(answered.payload[0], 0x80 | 12)
      else assert.ok(frames.some(one => one.type === TYPE.RST || one.type === TYPE.GOAWAY))
    })
  }

  it('a content-length that its DATA exceeds is a reset, and the service gets no whole request', async () => {
    const head = headerBlock([...change(':method', 'POST'), ['content-length', '1']])
    const frames = await rawH2(
      proxy.port,
      Buffer.concat([frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, head), frame(TYPE.DATA, FLAG.END_STREAM, 1, Buffer.from('more'))]),
    )
    assert.ok(frames.some(one => one.type === TYPE.RST || one.type === TYPE.GOAWAY))
    assert.equal(origin.seen.length, 0)
  })

  it('a preface in 24 one-byte writes is a preface', async () => {
    const frames = await rawH2(proxy.port, frame(TYPE.PING, 0, 0, Buffer.from('12345678')), 'bytewise')
    assert.ok(frames.some(one => one.type === TYPE.PING && one.flags === FLAG.ACK))
  })
})

/** Sends the preface, SETTINGS and these frames; returns what came back until the first frame that answers them. */
async function rawH2(port: number, bytes: Buffer, how: 'whole' | 'bytewise' = 'whole') {
  const socket = netConnect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  for (const part of how === 'whole' ? ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'] : 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
    socket.write(part)
    await new Promise(resolve => setImmediate(resolve))
  }
  socket.write(Buffer.concat([frame(TYPE.SETTINGS, 0, 0), bytes]))
  const frames: { type: number; flags: number; payload: Buffer }[] = []
  let rest: Buffer = Buffer.alloc(0)
  let closed = false
  socket.on('close', () => {
    closed = true
  })
  socket.on('data', chunk => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3)
      frames.push({ type: rest[3]!, flags: rest[4]!, payload: rest.subarray(9, 9 + length) })
      rest = rest.subarray(9 + length)
    }
  })
  const answers = new Set<number>([TYPE.HEADERS, TYPE.RST, TYPE.GOAWAY, TYPE.PING])
  await until(() => closed || frames.some(one => answers.has(one.type)))
  socket.destroy()
  return frames
}
