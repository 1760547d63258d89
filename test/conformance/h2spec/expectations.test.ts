// The acceptance rules themselves: what the suite takes for an answer, and what it does not.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { rawOrigin } from '../origins.js'
import type { Step } from './cases.js'
import {
  answered,
  connectionClose,
  connectionError,
  pingAcknowledged,
  pingAcknowledgedOrClose,
  streamClose,
  streamError,
} from './expectations.js'
import { ClientPeer } from './peer.js'
import { blockHead, CODE, data, goaway, ping, reset } from './wire.js'

type End = 'close' | 'cut'
const text = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')
const PROTOCOL = goaway(0, CODE.PROTOCOL_ERROR)
const OTHER = goaway(0, CODE.INTERNAL_ERROR)
const OK = Buffer.from([0x88])
const OK_BEHIND_UPDATES = Buffer.from([0x20, 0x3f, 0xe1, 0x1f, 0x88])
const BAD_REQUEST = Buffer.from([0x8c])

/** What comes, how it ends, what is waited for, and whether that is enough. */
const ROWS: [string, Buffer[], End, Step<ClientPeer>, 'accepted' | 'refused'][] = [
  ['a connection error: GOAWAY with the code', [PROTOCOL], 'cut', connectionError(CODE.PROTOCOL_ERROR), 'accepted'],
  ['a connection error: GOAWAY with another code', [OTHER], 'cut', connectionError(CODE.PROTOCOL_ERROR), 'refused'],
  ['a connection error: another code, then an orderly close', [OTHER], 'close', connectionError(CODE.PROTOCOL_ERROR), 'accepted'],
  ['a connection error: an orderly close', [], 'close', connectionError(CODE.PROTOCOL_ERROR), 'accepted'],
  ['a connection error: RST', [], 'cut', connectionError(CODE.PROTOCOL_ERROR), 'refused'],
  ['a connection error: RST_STREAM with the code', [reset(1, CODE.PROTOCOL_ERROR)], 'cut', connectionError(CODE.PROTOCOL_ERROR), 'refused'],
  ['a connection error: a text answer and a close', [text], 'close', connectionError(CODE.PROTOCOL_ERROR), 'refused'],
  ['a stream error: RST_STREAM with the code', [reset(1, CODE.STREAM_CLOSED)], 'cut', streamError(CODE.STREAM_CLOSED), 'accepted'],
  ['a stream error: RST_STREAM with another code', [reset(1, CODE.CANCEL)], 'cut', streamError(CODE.STREAM_CLOSED), 'refused'],
  ['a stream error: GOAWAY with the code', [PROTOCOL], 'cut', streamError(CODE.STREAM_CLOSED, CODE.PROTOCOL_ERROR), 'accepted'],
  ['a stream error: an answer', [blockHead(1, OK, 'end')], 'cut', streamError(CODE.STREAM_CLOSED), 'refused'],
  ['an orderly close: GOAWAY and a close', [PROTOCOL], 'close', connectionClose, 'accepted'],
  ['an orderly close: GOAWAY and RST', [PROTOCOL], 'cut', connectionClose, 'refused'],
  ['an answer: 200', [blockHead(1, OK, 'end')], 'cut', answered(1), 'accepted'],
  ['an answer: 200 behind table size updates', [blockHead(1, OK_BEHIND_UPDATES, 'end')], 'cut', answered(1), 'accepted'],
  ['an answer: 400', [blockHead(1, BAD_REQUEST, 'end')], 'cut', answered(1), 'refused'],
  ['an answer: on another stream', [blockHead(3, OK, 'end')], 'cut', answered(1), 'refused'],
  ['an answer: an orderly close', [], 'close', answered(1), 'refused'],
  ['PING with ACK: the payload', [ping('pingpong', 'ack')], 'cut', pingAcknowledged(), 'accepted'],
  ['PING with ACK: another payload', [ping('pongping', 'ack')], 'cut', pingAcknowledged(), 'refused'],
  ['PING with ACK: a PING without', [ping()], 'cut', pingAcknowledged(), 'refused'],
  ['PING with ACK or a close: a close', [], 'close', pingAcknowledgedOrClose(), 'accepted'],
  ['the end of a stream: DATA with END_STREAM', [data(1, 'x', 'end')], 'cut', streamClose, 'accepted'],
  ['the end of a stream: DATA without', [data(1, 'x', 'more')], 'cut', streamClose, 'refused'],
  ['the end of a stream: RST_STREAM with an error', [reset(1, CODE.CANCEL)], 'close', streamClose, 'refused'],
]

describe('an expectation takes what the original takes', () => {
  for (const [title, frames, end, step, verdict] of ROWS)
    it(`${title} is ${verdict}`, async () => {
      const origin = await rawOrigin(socket => socket.once('data', () => void play(socket, frames, end)))
      const socket = connect({ port: origin.port, host: '127.0.0.1', allowHalfOpen: true })
      await once(socket, 'connect')
      const peer = new ClientPeer(socket, '/')
      peer.send(ping())
      try {
        const waiting = step(peer) as Promise<void>
        if (verdict === 'accepted') await waiting
        else await assert.rejects(waiting, { name: 'AssertionError' })
      } finally {
        peer.destroy()
        await origin.close()
      }
    })
})

/** Sends the frames; the end comes when they have been sent. */
async function play(socket: Socket, frames: Buffer[], end: End): Promise<void> {
  if (frames.length > 0) await new Promise(resolve => socket.write(Buffer.concat(frames), resolve))
  if (end === 'close') socket.end()
  else socket.resetAndDestroy()
}
