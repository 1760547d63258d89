// The suite's own header decoder against nghttp2's encoder and the RFC's examples: a decoder that errs would accuse the proxy.
import assert from 'node:assert/strict'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { it } from 'node:test'
import { HpackReader } from './hpack-reader.js'
import { openWire } from './wire.js'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

it('RFC 7541 C.4: three requests with Huffman code on one connection', () => {
  const reader = new HpackReader()
  const head = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ]
  assert.deepEqual(reader.read(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')), head)
  assert.deepEqual(reader.read(hex('8286 84be 5886 a8eb 1064 9cbf')), [...head, ['cache-control', 'no-cache']])
  assert.deepEqual(reader.read(hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')), [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ])
})

it('what nghttp2 encodes is read as it was meant: every byte a value may have, hundreds of entries that evict each other', async () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter(byte => (byte >= 0x20 && byte !== 0x7f) || byte === 9))
  const values = [...all].map(byte => `x${Buffer.alloc(5, byte).toString('latin1')}x`)
  const server = createServer()
  server.on('stream', stream => {
    stream.on('error', () => {})
    const fields = Object.fromEntries(values.map((value, at) => [`x-${at}`, value]))
    stream.respond({ ':status': 200, ...fields, 'x-all': `x${all.toString('latin1')}x` }, { endStream: true })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const wire = await openWire((server.address() as AddressInfo).port)
  for (let round = 0; round < 3; round++) {
    const stream = wire.open(
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'x'],
      ],
      'end',
    )
    await stream.over
    const got = new Map(stream.head)
    assert.deepEqual(
      values.map((_, at) => got.get(`x-${at}`)),
      values,
    )
    assert.equal(got.get('x-all'), `x${all.toString('latin1')}x`)
  }
  wire.close()
  await new Promise(resolve => server.close(resolve))
})
