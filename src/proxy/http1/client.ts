// The HTTP/1.1 side towards services: keep-alive connections per endpoint, one exchange on each at a time.
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingMessage } from 'node:http'
import { type Fields, fieldValue } from '../../core/headers.js'
import type { EndpointAddress } from '../../core/spec.js'
import { fieldsFromRaw } from '../fields.js'
import type { UpstreamHead, UpstreamListener } from '../message.js'

// Shorter than the usual 5 s after which services close an idle connection, so that we rarely write into a closing one.
const IDLE_MS = 4000
const MAX_IDLE = 64

export function newAgent(): Agent {
  return new Agent({ keepAlive: true, timeout: IDLE_MS, maxFreeSockets: MAX_IDLE, scheduling: 'lifo' })
}

/** Where node:http connects to. */
export function connectOptions(address: EndpointAddress): { socketPath: string } | { host: string; port: number } {
  return 'socket' in address ? { socketPath: address.socket } : { host: address.host, port: address.port }
}

export interface Http1Attempt {
  agent: Agent
  address: EndpointAddress
  head: UpstreamHead
  connectTimeoutMs: number
}

/** Sends one request.  Reports to the listener; returns what gives the attempt up. */
export function openHttp1(attempt: Http1Attempt, listener: UpstreamListener): () => void {
  const { head } = attempt
  const request = httpRequest({
    ...connectOptions(attempt.address),
    // A tunnel is a connection's last use: it never comes back to the pool.
    agent: head.upgrade === null ? attempt.agent : false,
    method: head.method,
    path: head.target,
    headers: wireFields(head),
  })
  const state = { phase: 'connecting' as Phase, answer: null as IncomingMessage | null }
  const cancel = () => {
    state.phase = 'over'
    request.destroy()
  }
  const fail = (error: Error) => {
    if (state.phase === 'over') return
    const again = state.phase === 'connecting' ? 'unsent' : request.reusedSocket && state.phase === 'sent' ? 'idempotent' : 'no'
    const code = state.phase === 'connecting' ? 'UPSTREAM_UNREACHABLE' : isParseError(error) ? 'UPSTREAM_PROTOCOL' : 'UPSTREAM_BROKEN'
    cancel()
    listener.failed({ code, message: error.message || 'the connection was lost', again })
  }
  onConnected(request, attempt.connectTimeoutMs, fail, () => {
    if (state.phase !== 'connecting') return
    state.phase = 'sent'
    if (!head.bodyless) request.flushHeaders()
    listener.opened({
      body: request,
      end: trailers => endRequest(request, trailers),
      answerComplete: () => state.answer?.complete ?? false,
      answerTrailers: () => fieldsFromRaw(state.answer?.rawTrailers ?? []),
      cancel,
    })
  })
  request.on('error', fail)
  // Once there is an answer only its own end counts: a service that closes its connections closes this one before the answer is read.
  request.on('close', () => {
    if (state.phase !== 'answered') fail(new Error('the service closed the connection before it answered'))
  })
  request.on('continue', () => listener.informational(100, []))
  request.on('information', info => {
    // Node reports 100 as 'continue' too.
    if (info.statusCode !== 100) listener.informational(info.statusCode, fieldsFromRaw(info.rawHeaders))
  })
  request.on('upgrade', (answer, socket, first) => {
    if (head.upgrade === null) return fail(new Error('the service answered 101 to a request without Upgrade'))
    state.phase = 'over'
    if (first.length > 0) socket.unshift(first)
    listener.switched(fieldsFromRaw(answer.rawHeaders), socket)
  })
  request.on('response', answer => {
    state.phase = 'answered'
    state.answer = answer
    watchAnswer(answer, fail, () => {
      state.phase = 'over'
    })
    const bare = head.method === 'HEAD' || answer.statusCode === 204 || answer.statusCode === 304
    if (bare) answer.resume()
    listener.head(answer.statusCode ?? 502, fieldsFromRaw(answer.rawHeaders), bare ? null : answer)
  })
  return cancel
}

type Phase = 'connecting' | 'sent' | 'answered' | 'over'

/** llhttp's codes begin with HPE_: the service does not speak HTTP/1. */
function isParseError(error: Error): boolean {
  return 'code' in error && String(error.code).startsWith('HPE_')
}

/** Calls `connected` once a connection is there, a kept one at once; `failed` after timeoutMs without one. */
function onConnected(request: ClientRequest, timeoutMs: number, failed: (error: Error) => void, connected: () => void): void {
  const timer = setTimeout(() => failed(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs)
  request.on('close', () => clearTimeout(timer))
  request.on('socket', socket => {
    const done = () => {
      clearTimeout(timer)
      connected()
    }
    if (socket.connecting) socket.once('connect', done)
    else done()
  })
}

function watchAnswer(answer: IncomingMessage, failed: (error: Error) => void, over: () => void): void {
  answer.on('error', failed)
  answer.on('end', over)
  answer.on('close', () => {
    if (!answer.complete) failed(new Error('the service closed the connection in the middle of its answer'))
  })
}

function endRequest(request: ClientRequest, trailers: Fields): void {
  if (trailers.length > 0) addTrailers(request, trailers)
  request.end()
}

/** Trailers exist in chunked bodies only; elsewhere they go, as RFC 9110 6.5 allows. */
export function addTrailers(message: OutgoingMessage, trailers: Fields): void {
  if (!message.chunkedEncoding) return
  const pairs: [string, string][] = []
  for (let at = 0; at < trailers.length; at += 2) pairs.push([trailers[at]!, trailers[at + 1]!])
  message.addTrailers(pairs)
}

/** The fields as they go on the wire: Host first, then the framing of the body said once and plainly. */
function wireFields(head: UpstreamHead): string[] {
  const fields = ['host', head.authority, ...head.fields]
  const te = fieldValue(head.fields, 'te') !== undefined
  if (head.upgrade !== null) return [...fields, 'connection', 'upgrade', 'upgrade', head.upgrade]
  fields.push('connection', te ? 'keep-alive, te' : 'keep-alive')
  if (fieldValue(head.fields, 'content-length') !== undefined) return fields
  if (!head.bodyless) fields.push('transfer-encoding', 'chunked')
  else if (!BODYLESS_METHODS.has(head.method)) fields.push('content-length', '0')
  return fields
}

// A POST without any framing makes some services wait for a body; these methods have none as a rule (RFC 9110 8.6).
const BODYLESS_METHODS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])
