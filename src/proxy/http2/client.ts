// The HTTP/2 side towards services: one stream of a pooled connection per request.
import { type ClientHttp2Stream, constants } from 'node:http2'
import { grpcFromReset } from '../../core/grpc.js'
import type { Fields } from '../../core/headers.js'
import { fieldsFromRaw, headerObject } from '../fields.js'
import type { Failure, UpstreamHead, UpstreamListener } from '../message.js'
import type { Http2Pool, Link } from './pool.js'

export interface Http2Attempt {
  pool: Http2Pool
  head: UpstreamHead
  connectTimeoutMs: number
}

/** Sends one request.  Reports to the listener; returns what gives the attempt up. */
export function openHttp2(attempt: Http2Attempt, listener: UpstreamListener): () => void {
  let cancelStream: (() => void) | null = null
  const forget = attempt.pool.acquire(attempt.connectTimeoutMs, {
    open: link => {
      cancelStream = openStream(link, attempt.head, listener)
    },
    failed: error => listener.failed({ code: 'UPSTREAM_UNREACHABLE', message: error.message, again: 'unsent' }),
  })
  return () => {
    forget()
    cancelStream?.()
  }
}

function openStream(link: Link, head: UpstreamHead, listener: UpstreamListener): () => void {
  let stream: ClientHttp2Stream
  try {
    stream = link.session.request(requestHeaders(head), { endStream: head.bodyless, waitForTrailers: !head.bodyless })
  } catch (error) {
    // A session that is going away throws instead of telling; nothing has left.
    listener.failed({ code: 'UPSTREAM_UNREACHABLE', message: String(error), again: 'unsent' })
    return () => {}
  }
  const state = { over: false, requestTrailers: [] as Fields, answerTrailers: [] as Fields, message: '' }
  link.streams++
  const cancel = () => {
    state.over = true
    stream.close(constants.NGHTTP2_CANCEL)
  }
  stream.on('error', error => {
    state.message = error.message
  })
  stream.on('wantTrailers', () => stream.sendTrailers(headerObject(state.requestTrailers)))
  stream.on('continue', () => listener.informational(100, []))
  stream.on('headers', (_headers: object, _flags: number, raw: string[]) => report1xx(raw, listener))
  stream.on('trailers', (_trailers: object, _flags: number, raw: string[]) => {
    state.answerTrailers = fieldsFromRaw(raw)
  })
  stream.on('response', (headers: { ':status'?: number }, flags: number, raw: string[]) => {
    if (state.over) return
    const last = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    // node:http2 also emits 'end' for a stream that was reset with CANCEL and for a lost connection.
    stream.on('end', () => {
      state.over ||= stream.rstCode === constants.NGHTTP2_NO_ERROR
    })
    if (last) stream.resume()
    listener.head(Number(headers[':status']), fieldsFromRaw(raw), last ? null : stream)
  })
  stream.on('close', () => {
    link.streams--
    if (state.over) return
    state.over = true
    listener.failed(failureOf(link, stream, state.message))
  })
  const end = (trailers: Fields) => {
    state.requestTrailers = trailers
    stream.end()
  }
  listener.opened({ body: stream, end, answerComplete: () => state.over, answerTrailers: () => state.answerTrailers, cancel })
  return cancel
}

function requestHeaders(head: UpstreamHead) {
  const headers = headerObject(head.fields)
  headers[':method'] = head.method
  headers[':scheme'] = head.scheme
  headers[':authority'] = head.authority
  headers[':path'] = head.target
  return headers
}

function report1xx(raw: string[], listener: UpstreamListener): void {
  const at = raw.indexOf(':status')
  const status = at === -1 ? 0 : Number(raw[at + 1])
  if (status > 100 && status < 200) listener.informational(status, fieldsFromRaw(raw))
}

/** Why a stream ended without an answer: the connection was lost, or the service reset it. */
function failureOf(link: Link, stream: ClientHttp2Stream, message: string): Failure {
  const id = stream.id
  const notBegun = link.lastStreamId !== null && id !== undefined && id > link.lastStreamId
  if (notBegun || stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) {
    return { code: 'UPSTREAM_BROKEN', message: 'the service refused the stream', again: 'refused', grpc: 14 }
  }
  // node:http2 closes the streams of a lost connection with CANCEL; the socket tells the two apart.
  if (link.socket.destroyed || link.session.destroyed) {
    return { code: 'UPSTREAM_BROKEN', message: message || 'the connection was lost', again: id === undefined ? 'unsent' : 'no', grpc: 14 }
  }
  const text = `the service reset the stream with code ${stream.rstCode}`
  return { code: 'UPSTREAM_PROTOCOL', message: text, again: 'no', grpc: grpcFromReset(stream.rstCode) }
}
