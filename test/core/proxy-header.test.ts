// The PROXY header: both versions read to the byte, everything else refused, nothing decided before it is certain.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readProxyHeader } from '../../src/core/proxy-header.js'

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'

function version2(command: number, family: number, payload: number[]): Uint8Array {
  return Buffer.concat([latin1(SIGNATURE), Buffer.from([command, family, payload.length >> 8, payload.length & 255, ...payload])])
}

const V4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0x17, 0x76]
const V6 = [0x20, 0x01, 0x0d, 0xb8, ...new Array(11).fill(0), 9, ...new Array(16).fill(0), 0x1f, 0x90, 0x17, 0x76]

const sound: [string, Uint8Array, string | null][] = [
  ['version 1, IPv4', latin1('PROXY TCP4 192.0.2.7 10.0.0.1 8080 6006\r\n'), '192.0.2.7'],
  ['version 1, IPv6', latin1('PROXY TCP6 2001:db8::9 ::1 8080 6006\r\n'), '2001:db8::9'],
  ['version 1, unknown', latin1('PROXY UNKNOWN\r\n'), null],
  ['version 1, unknown with words', latin1('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'), null],
  ['version 2, IPv4', version2(0x21, 0x11, V4), '192.0.2.7'],
  ['version 2, IPv4 and more', version2(0x21, 0x11, [...V4, 4, 0, 1, 65]), '192.0.2.7'],
  ['version 2, IPv6', version2(0x21, 0x21, V6), '2001:db8:0:0:0:0:0:9'],
  ['version 2, local', version2(0x20, 0, []), null],
  ['version 2, unix socket', version2(0x21, 0x31, new Array(216).fill(0)), null],
]

for (const [title, bytes, address] of sound) {
  test(`${title}: the address, and not one byte of what follows`, () => {
    const all = Buffer.concat([bytes, latin1('GET / HTTP/1.1\r\n')])
    assert.deepEqual(readProxyHeader(all), { kind: 'header', length: bytes.length, address })
  })
  test(`${title}: every piece of it asks for more`, () => {
    for (let length = 0; length < bytes.length; length++)
      assert.equal(readProxyHeader(bytes.subarray(0, length)).kind, 'more', `${length} bytes`)
  })
}

const refused: [string, Uint8Array][] = [
  ['a request', latin1('GET / HTTP/1.1\r\n')],
  ['another word', latin1('PROXX ')],
  ['HTTP/2', latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  ['no address', latin1('PROXY TCP4 localhost 10.0.0.1 1 2\r\n')],
  ['an octet above 255', latin1('PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n')],
  ['IPv6 as TCP4', latin1('PROXY TCP4 2001:db8::9 ::1 1 2\r\n')],
  ['two spaces', latin1('PROXY  TCP4 192.0.2.7 10.0.0.1 1 2\r\n')],
  ['a line without end', latin1(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ['a broken signature', latin1('\r\n\r\n\0\r\nQUIX\n')],
  ['version 3', version2(0x31, 0x11, V4)],
  ['command 2', version2(0x22, 0x11, V4)],
  ['addresses cut off', version2(0x21, 0x11, V4.slice(0, 8))],
  ['64 KiB of TLVs', version2(0x21, 0x11, [...V4, ...new Array(60_000).fill(0)])],
]

for (const [title, bytes] of refused) test(`${title} is no PROXY header`, () => assert.equal(readProxyHeader(bytes).kind, 'bad'))
