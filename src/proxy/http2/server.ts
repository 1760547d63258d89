// The HTTP/2 side towards clients: node:http2 on sockets that the listener hands over, each stream as a ClientCall.
import { constants, createServer, type Http2Session, type Http2Server as NodeServer, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { ProxySpec } from '../../core/spec.js'
import { refuseHttp } from '../answers.js'
import { fieldsFromRaw } from '../fields.js'
import { clientAddress } from '../http1/server.js'
import { isHost } from '../http1/strict.js'
import type { ClientCall, RequestHead } from '../message.js'
import { Http2Call } from './call.js'

const MAX_STREAMS = 1000
const WINDOW_BYTES = 256 * 1024
const CONNECTION_WINDOW_BYTES = 4 << 20
const MAX_STREAM_ID = 2 ** 31 - 1
// How long a draining client may take to answer the PING between the two GOAWAYs (rule 20).
const GOAWAY_PAUSE_MS = 1000

export interface Http2Options {
  settings: ProxySpec
  serve(call: ClientCall): void
}

export class Http2Server {
  private readonly options: Http2Options
  private readonly server: NodeServer
  private readonly sessions = new Map<Http2Session, { streams: number }>()
  private draining = false

  constructor(options: Http2Options) {
    this.options = options
    this.server = createServer({
      maxSessionMemory: 64,
      maxHeaderListPairs: 2000,
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        initialWindowSize: WINDOW_BYTES,
        maxHeaderListSize: options.settings.maxHeaderBytes,
        enablePush: false,
      },
    })
    this.server.on('session', session => this.session(session))
    this.server.on('stream', (stream: ServerHttp2Stream, _headers: object, flags: number, raw: string[]) => this.stream(stream, flags, raw))
    this.server.on('sessionError', () => {})
  }

  /** Takes a connection over; its first bytes have been put back. */
  accept(socket: Socket): void {
    // HTTP/2 knows no half-closed connection; node:http2 leaves a socket that may be one open for ever.
    socket.allowHalfOpen = false
    this.server.emit('connection', socket)
  }

  /** Sends both GOAWAYs; streams that run may end. */
  drain(): void {
    this.draining = true
    for (const session of this.sessions.keys()) sayGoodbye(session)
  }

  private session(session: Http2Session): void {
    const record = { streams: 0 }
    this.sessions.set(session, record)
    // A broken connection is told to its streams; without a listener the error would end the worker.
    session.on('error', () => {})
    session.on('close', () => this.sessions.delete(session))
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    session.setTimeout(this.options.settings.idleTimeoutMs, () => {
      if (record.streams === 0) session.close()
    })
    if (this.draining) sayGoodbye(session)
  }

  private stream(stream: ServerHttp2Stream, flags: number, raw: string[]): void {
    const record = stream.session === undefined ? undefined : this.sessions.get(stream.session)
    if (record !== undefined) {
      record.streams++
      stream.on('close', () => record.streams--)
    }
    const head = headOf(stream, flags, raw)
    const call = new Http2Call(head, stream)
    const fault = judge(head, raw)
    if (fault === null) this.options.serve(call)
    else refuseHttp(call, { code: 'REQUEST_MALFORMED', message: fault })
  }
}

/** Two steps, because a call may be on its way while the first GOAWAY is (rule 20). */
function sayGoodbye(session: Http2Session): void {
  if (session.closed || session.destroyed) return
  session.goaway(constants.NGHTTP2_NO_ERROR, MAX_STREAM_ID)
  const close = () => {
    clearTimeout(timer)
    if (!session.closed && !session.destroyed) session.close()
  }
  const timer = setTimeout(close, GOAWAY_PAUSE_MS)
  session.ping(close)
}

function headOf(stream: ServerHttp2Stream, flags: number, raw: string[]): RequestHead {
  const pseudo = (name: string) => {
    const at = raw.indexOf(name)
    return at === -1 ? '' : raw[at + 1]!
  }
  const path = pseudo(':path')
  return {
    protocol: 'h2c',
    version: 'HTTP/2.0',
    method: pseudo(':method'),
    target: path,
    scheme: pseudo(':scheme') === 'https' ? 'https' : 'http',
    authority: pseudo(':authority') || (valuesOf(raw, 'host')[0] ?? ''),
    fields: fieldsFromRaw(raw),
    bodyless: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
    upgrade: null,
    client: clientAddress(stream.session?.socket?.remoteAddress),
  }
}

/** What nghttp2 lets pass and we do not.  Returns why the request is refused, or null. */
function judge(head: RequestHead, raw: string[]): string | null {
  if (head.authority === '') return 'no :authority and no host'
  if (!isHost(head.authority)) return ':authority is not a host and a port'
  for (const host of valuesOf(raw, 'host')) if (host.toLowerCase() !== head.authority.toLowerCase()) return 'host and :authority differ'
  return null
}

function valuesOf(raw: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let at = 0; at < raw.length; at += 2) if (raw[at] === name) values.push(raw[at + 1]!)
  return values
}
