// The HTTP/1.1 side towards clients: node:http on sockets that the listener hands over, each request as a ClientCall.
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Fields, fieldListHas, fieldValue, fieldValues } from '../../core/headers.js'
import type { ProxySpec } from '../../core/spec.js'
import { refuseHttp } from '../answers.js'
import { fieldsFromRaw } from '../fields.js'
import type { ClientCall, RequestHead } from '../message.js'
import { Http1Call } from './call.js'
import { judgeHead } from './strict.js'

export interface Http1Options {
  settings: ProxySpec
  serve(call: ClientCall): void
  /** True once answers end their connection. */
  isDraining(): boolean
}

export class Http1Server {
  private readonly options: Http1Options
  private readonly server: Server

  constructor(options: Http1Options) {
    const { settings } = options
    this.options = options
    this.server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: true,
      maxHeaderSize: settings.maxHeaderBytes,
      headersTimeout: settings.headerTimeoutMs,
      // A body may take as long as it moves; the exchange watches it.
      requestTimeout: 0,
      keepAliveTimeout: settings.idleTimeoutMs,
      connectionsCheckingInterval: Math.max(20, Math.min(1000, settings.headerTimeoutMs / 4)),
    })
    // Node drops fields beyond this number in silence; the head's bytes are the limit here.
    this.server.maxHeadersCount = 0
    this.server.on('request', (request, response) => this.request(request, response))
    this.server.on('checkContinue', (request, response) => this.request(request, response))
    this.server.on('checkExpectation', (request, response) => this.request(request, response))
    this.server.on('upgrade', (request, socket, first) => this.upgrade(request, socket, first))
    this.server.on('connect', (request, socket) => this.connect(request, socket))
    // This server never listens itself, and its header timeout is only watched from this event on.
    this.server.emit('listening')
  }

  /** Takes a connection over; its first bytes have been put back. */
  accept(socket: Socket): void {
    this.server.emit('connection', socket)
  }

  /** Every answer from now on ends its connection; those that stay idle close after a while.
   *  Closing them at once would hit requests that are on their way, and connections that were accepted a moment ago. */
  drain(): void {
    setInterval(() => this.server.closeIdleConnections(), IDLE_GRACE_MS)
  }

  private request(request: IncomingMessage, response: ServerResponse, tunnel?: { takeEarly(): Buffer }): void {
    const upgrade = tunnel === undefined ? null : 'websocket'
    const fields = fieldsFromRaw(request.rawHeaders)
    const hosts = hostsOf(request.rawHeaders)
    const head = headOf(request, { fields, authority: hosts[0] ?? '', upgrade })
    const { takeEarly } = tunnel ?? NO_TUNNEL
    const call = new Http1Call(head, { request, response, takeEarly, isDraining: this.options.isDraining })
    const verdict = judgeHead({ httpVersion: request.httpVersion, method: head.method, hosts, fields })
    if (verdict === null) {
      this.options.serve(call)
      return
    }
    response.shouldKeepAlive = false
    refuseHttp(call, { code: 'REQUEST_MALFORMED', message: verdict.message, http: verdict.http })
  }

  /** Node has taken the parser off this connection: the answer to whatever it is ends it. */
  private upgrade(request: IncomingMessage, socket: Duplex, first: Buffer): void {
    const response = responseOn(request, socket)
    const wantsWebSocket = request.method === 'GET' && fieldListHas(fieldsFromRaw(request.rawHeaders), 'upgrade', 'websocket')
    if (!wantsWebSocket) {
      this.request(request, response)
      return
    }
    this.request(request, response, { takeEarly: keepEarly(socket, first) })
  }

  private connect(request: IncomingMessage, socket: Duplex): void {
    this.request(request, responseOn(request, socket))
  }
}

function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Socket)
  response.on('finish', () => socket.end())
  // Its cause is told by 'close'; without a listener an error would end the worker.
  socket.on('error', () => {})
  socket.resume()
  return response
}

/** Reads on while the upgrade is on its way, so that a client's leaving is seen; what it sends early is kept. */
function keepEarly(socket: Duplex, first: Buffer): () => Buffer {
  const early = [first]
  let bytes = first.length
  socket.on('data', (chunk: Buffer) => {
    early.push(chunk)
    bytes += chunk.length
    if (bytes > EARLY_BYTES) socket.pause()
  })
  // A half-closed connection is one that nobody waits on, until it is a tunnel: then half-closing is the tunnel's business.
  const left = () => socket.destroy()
  socket.on('end', left)
  return () => {
    socket.off('end', left)
    return Buffer.concat(early)
  }
}

const NO_TUNNEL = { takeEarly: () => Buffer.alloc(0) }
const IDLE_GRACE_MS = 1000
const EARLY_BYTES = 64 * 1024

function hostsOf(raw: readonly string[]): string[] {
  const hosts: string[] = []
  for (let at = 0; at < raw.length; at += 2) if (raw[at]!.length === 4 && raw[at]!.toLowerCase() === 'host') hosts.push(raw[at + 1]!)
  return hosts
}

function headOf(request: IncomingMessage, parts: { fields: Fields; authority: string; upgrade: 'websocket' | null }): RequestHead {
  const length = fieldValue(parts.fields, 'content-length')
  return {
    protocol: 'http1',
    version: `HTTP/${request.httpVersion}`,
    method: request.method ?? '',
    target: request.url ?? '',
    scheme: 'http',
    authority: parts.authority,
    fields: parts.fields,
    bodyless: (length === undefined || length === '0') && fieldValues(parts.fields, 'transfer-encoding').length === 0,
    upgrade: parts.upgrade,
    client: clientAddress(request.socket.remoteAddress),
  }
}

/** An IPv4 client of a dual-stack socket is told as IPv4. */
export function clientAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
