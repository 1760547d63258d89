// Chunked bodies: rows 20-24 of proxy.md section F, in every cut of the bytes, and the writer against the decoder.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ChunkedDecoder, writeChunk, writeLastChunk } from '../../../src/proxy/http1/chunked.js'
import { loneWire } from './lone-wire.js'

const LIMITS = { maxHeaderBytes: 1000, maxHeaderFields: 5 }

interface Read {
  body: string
  trailers: string[]
  outcome: 'more' | 'end' | 'bad'
  /** Bytes behind the body's end. */
  rest: string
}

function decode(text: string, pieceBytes: number, decoder = new ChunkedDecoder(LIMITS)): Read {
  const read: Read = { body: '', trailers: [], outcome: 'more', rest: '' }
  decoder.begin()
  for (let from = 0; from < text.length; from += pieceBytes) {
    const bytes = Buffer.from(`\r\n${text.slice(from, from + pieceBytes)}\r\n`, 'latin1')
    const end = bytes.length - 2
    let at = 2
    while (at < end) {
      const kind = decoder.step(bytes, at, end)
      assert.ok(decoder.at <= end && (decoder.at > at || kind === 'bad'), `from ${at} to ${decoder.at} of ${end}`)
      at = decoder.at
      if (kind === 'data') read.body += bytes.toString('latin1', decoder.dataStart, decoder.dataEnd)
      if (kind === 'end' || kind === 'bad') {
        const rest = bytes.toString('latin1', at, end) + text.slice(from + pieceBytes)
        return { ...read, outcome: kind, trailers: decoder.trailers, rest: kind === 'end' ? rest : '' }
      }
    }
  }
  return read
}

const everyCut = (text: string) => [1, 2, 3, 5, 7, text.length].map(pieceBytes => decode(text, pieceBytes))

const TAKEN: [string, string, string, string[]][] = [
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello', []],
  ['two chunks', '2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n', 'hello', []],
  ['no chunk', '0\r\n\r\n', '', []],
  [
    'hex in both cases',
    `a\r\n${'x'.repeat(10)}\r\nA\r\n${'y'.repeat(10)}\r\n1f\r\n${'z'.repeat(31)}\r\n0\r\n\r\n`,
    `${'x'.repeat(10)}${'y'.repeat(10)}${'z'.repeat(31)}`,
    [],
  ],
  ['16 digits, most of them zeros', '0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n', 'hello', []],
  ['CRLF in the data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n', []],
  ['F20 an extension', '5;a=b\r\nhello\r\n0;c\r\n\r\n', 'hello', []],
  ['F20 a quoted extension with spaces', '5;a="b c;\td"\r\nhello\r\n0\r\n\r\n', 'hello', []],
  ['trailers', '1\r\nx\r\n0\r\nX-Sum: 42\r\nx-two:  b \r\n\r\n', 'x', ['x-sum', '42', 'x-two', 'b']],
  ['F24 framing trailers are told: whoever passes them on drops them', '0\r\nContent-Length: 5\r\n\r\n', '', ['content-length', '5']],
]

const REFUSED: [string, string][] = [
  ['F21 an extension with LF', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
  ['F21 an extension with a bare CR', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['F21 an extension with NUL', '5;a\0\r\nhello\r\n0\r\n\r\n'],
  ['F22 a size line with LF only', '5\nhello\r\n0\r\n\r\n'],
  ['F22 a space behind the size', '5 \r\nhello\r\n0\r\n\r\n'],
  ['F22 a space before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['F22 a tab behind the size', '5\t\r\nhello\r\n0\r\n\r\n'],
  ['F22 0x5', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['F22 +5', '+5\r\nhello\r\n0\r\n\r\n'],
  ['F22 -5', '-5\r\nhello\r\n0\r\n\r\n'],
  ['F22 17 digits', '00000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['F22 a size beyond 48 bits', 'fffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ['F22 a size that wraps around at 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['no size', '\r\nhello\r\n0\r\n\r\n'],
  ['an extension without a size', ';a\r\nhello\r\n0\r\n\r\n'],
  ['F23 data not followed by CRLF', '5\r\nhelloXX0\r\n\r\n'],
  ['F23 data followed by LF', '5\r\nhello\n0\r\n\r\n'],
  ['F23 data longer than its size', '4\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF at the end', '0\r\n\n'],
  ['a trailer with a bare LF', '0\r\nX: y\nZ: a\r\n\r\n'],
  ['a folded trailer', '0\r\nX: y\r\n z\r\n\r\n'],
  ['a trailer without a colon', '0\r\nnonsense\r\n\r\n'],
  ['a trailer with a space in its name', '0\r\nX Y: z\r\n\r\n'],
  ['too many trailers', `0\r\n${'X: y\r\n'.repeat(6)}\r\n`],
  ['trailers beyond maxHeaderBytes', `0\r\nX: ${'y'.repeat(1000)}\r\n\r\n`],
  ['extensions beyond 16 KiB, over many chunks', `${`1;${'e'.repeat(1000)}\r\nx\r\n`.repeat(17)}0\r\n\r\n`],
]

describe('a chunked body', () => {
  for (const [title, text, body, trailers] of TAKEN) {
    it(`${title}: taken in every cut, and what follows is left`, () => {
      for (const read of everyCut(`${text}GET /next`)) assert.deepEqual(read, { body, trailers, outcome: 'end', rest: 'GET /next' })
    })
  }
  for (const [title, text] of REFUSED) {
    it(`${title}: refused in every cut`, () => {
      for (const read of everyCut(text)) assert.equal(read.outcome, 'bad')
    })
  }

  it('a cut body is never at its end', () => {
    const text = '5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n'
    for (let length = 0; length < text.length; length++) assert.equal(decode(text.slice(0, length), 3).outcome, 'more')
  })

  it('a decoder forgets its last body', () => {
    const decoder = new ChunkedDecoder(LIMITS)
    assert.equal(decode('5;a\n', 4, decoder).outcome, 'bad')
    assert.equal(decode('0\r\nX', 4, decoder).outcome, 'more')
    assert.deepEqual(decode('1\r\nx\r\n0\r\n\r\n', 4, decoder), { body: 'x', trailers: [], outcome: 'end', rest: '' })
  })

  it('what is written is read again, whatever its size', () => {
    for (const size of [1, 9, 15, 16, 17, 255, 256, 4095, 4096, 65_535, 65_536, 1_000_000]) {
      const { wire, written } = loneWire()
      const body = Buffer.alloc(size + 2, 'b')
      writeChunk(wire, body, 1, 1 + size)
      writeChunk(wire, body, 0, 1)
      writeLastChunk(wire, ['x-sum', '42'])
      assert.deepEqual(decode(written(), 1000), { body: 'b'.repeat(size + 1), trailers: ['x-sum', '42'], outcome: 'end', rest: '' })
      wire.destroy()
    }
  })
})
