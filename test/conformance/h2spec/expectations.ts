// The acceptance rules of the original suite: what counts as a connection error, a stream error, an answer.
import assert from 'node:assert/strict'
import { FLAG } from '../h2-frames.js'
import type { ClientPeer, Event, Peer } from './peer.js'
import { CODE, codeName, described, TYPE } from './wire.js'

type Expectation = (peer: Peer) => Promise<void>

/** Drops events until one is accepted.  An end or a silence that is not accepted fails. */
async function until(peer: Peer, wanted: string, accepts: (event: Event) => boolean): Promise<void> {
  for (;;) {
    const event = await peer.next()
    if (accepts(event)) return
    if (typeof event === 'string') peer.fail(wanted, event)
  }
}

/** An orderly close.  Neither RST nor bytes that are no frame count: the original takes both for a failure. */
export const connectionClose: Expectation = peer => until(peer, 'an orderly close', event => event === 'closed')

/** GOAWAY with one of the codes, or an orderly close. */
export function connectionError(...codes: number[]): Expectation {
  const wanted = `GOAWAY(${codes.map(codeName).join(' or ')}) or an orderly close`
  return peer =>
    until(peer, wanted, event => {
      if (event === 'closed') return true
      if (typeof event === 'string' || event.type !== TYPE.GOAWAY) return false
      return isExpected(peer, codes, event.payload.readUInt32BE(4))
    })
}

/** RST_STREAM or GOAWAY with one of the codes, or an orderly close. */
export function streamError(...codes: number[]): Expectation {
  const wanted = `RST_STREAM or GOAWAY(${codes.map(codeName).join(' or ')}) or an orderly close`
  return peer =>
    until(peer, wanted, event => {
      if (event === 'closed') return true
      if (typeof event === 'string') return false
      if (event.type === TYPE.GOAWAY) return isExpected(peer, codes, event.payload.readUInt32BE(4))
      return event.type === TYPE.RST && isExpected(peer, codes, event.payload.readUInt32BE(0))
    })
}

function isExpected(peer: Peer, codes: number[], code: number): boolean {
  if (codes.includes(code)) return true
  peer.notes.push(`answered with ${codeName(code)}, expected ${codes.map(codeName).join(' or ')}`)
  return false
}

/** GOAWAY with this code and nothing else. */
export function goawayWith(code: number): Expectation {
  return async peer => assert.equal(codeName((await peer.nextOf(TYPE.GOAWAY)).payload.readUInt32BE(4)), codeName(code))
}

/** RST_STREAM on this stream with this code and nothing else. */
export function resetWith<P extends Peer>(code: number, stream: (peer: P) => number): (peer: P) => Promise<void> {
  return async peer => {
    const one = await peer.nextOf(TYPE.RST)
    assert.deepEqual([one.id, codeName(one.payload.readUInt32BE(0))], [stream(peer), codeName(code)])
  }
}

/** The stream has ended without an error. */
export const streamClose: Expectation = peer =>
  until(peer, 'the end of the stream', event => {
    if (typeof event === 'string') return false
    if (event.type === TYPE.DATA || event.type === TYPE.HEADERS) return (event.flags & FLAG.END_STREAM) !== 0
    return event.type === TYPE.RST && event.payload.readUInt32BE(0) === CODE.NO_ERROR
  })

// An indexed `:status: 200` (RFC 7541 appendix A, index 8).  A dynamic table size update (001xxxxx) may stand before it.
const STATUS_200 = 0x88

/** The first HEADERS frame is for this stream and says 200: the suite's path always does. */
export function answered(id: number): Expectation {
  return async peer => {
    const one = await peer.nextOf(TYPE.HEADERS)
    assert.equal(one.id, id, described(one))
    let at = 0
    while ((one.payload[at]! & 0xe0) === 0x20) at += sizeUpdateBytes(one.payload, at)
    assert.equal(one.payload[at], STATUS_200, `the answer does not begin with an indexed :status 200: ${one.payload.toString('hex')}`)
  }
}

function sizeUpdateBytes(block: Buffer, start: number): number {
  if ((block[start]! & 0x1f) !== 0x1f) return 1
  let at = start + 1
  while ((block[at]! & 0x80) !== 0) at++
  return at + 1 - start
}

/** The first SETTINGS frame has ACK. */
export const settingsAcknowledged: Expectation = async peer => {
  const one = await peer.nextOf(TYPE.SETTINGS)
  assert.ok((one.flags & FLAG.ACK) !== 0, described(one))
}

/** The first PING frame has ACK and this payload. */
export function pingAcknowledged(payload = 'pingpong'): Expectation {
  return async peer => {
    const one = await peer.nextOf(TYPE.PING)
    assert.ok((one.flags & FLAG.ACK) !== 0, described(one))
    assert.equal(one.payload.toString('latin1'), payload)
  }
}

/** A PING with ACK and this payload, or an orderly close. */
export function pingAcknowledgedOrClose(payload = 'pingpong'): Expectation {
  return peer =>
    until(peer, 'PING with ACK or an orderly close', event => {
      if (event === 'closed') return true
      if (typeof event === 'string' || event.type !== TYPE.PING) return false
      return (event.flags & FLAG.ACK) !== 0 && event.payload.toString('latin1') === payload
    })
}

/** A frame of this type, whatever it says. */
export function frameOf(type: number): Expectation {
  return async peer => void (await peer.nextOf(type))
}

/** The first DATA frame has this many bytes. */
export function dataOf(bytes: number): Expectation {
  return async peer => {
    const one = await peer.nextOf(TYPE.DATA)
    assert.equal(one.payload.length, bytes, described(one))
  }
}

/** The very first frame is SETTINGS without ACK. */
export const serverPreface: Expectation = async (peer: Peer) => {
  const one = await peer.next()
  if (typeof one === 'string') peer.fail('SETTINGS', one)
  assert.ok(one.type === TYPE.SETTINGS && (one.flags & FLAG.ACK) === 0, described(one))
}

/** The limit of concurrent streams that the proxy announced; the cases need one. */
export function announced(peer: ClientPeer, setting: number): number {
  const value = peer.announced.get(setting)
  assert.ok(value !== undefined, `the proxy announces no value for setting ${setting}`)
  return value
}
