// gRPC messages are counted and measured alike in one piece, byte by byte, and in any pieces between.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageCounter } from '../../src/core/grpc-messages.js'

const message = (bytes: number): Buffer => {
  const out = Buffer.alloc(5 + bytes, 0xff)
  out[0] = 0
  out.writeUInt32BE(bytes, 1)
  return out
}
const body = Buffer.concat([0, 1, 300, 0, 70_000, 5].map(message))

for (const size of [1, 2, 5, 7, 4096, body.length]) {
  test(`six messages in pieces of ${size}`, () => {
    const counter = new MessageCounter()
    for (let at = 0; at < body.length; at += size) counter.add(body, at, Math.min(body.length, at + size))
    assert.deepEqual([counter.count, counter.longest], [6, 70_000])
  })
}

test('a message that is cut off is counted, at its full length, once its prefix is there', () => {
  const counter = new MessageCounter()
  counter.add(message(10), 0, 4)
  assert.deepEqual([counter.count, counter.longest], [0, 0])
  counter.add(message(10), 4, 7)
  assert.deepEqual([counter.count, counter.longest], [1, 10])
})
