// What the access log will say of one request, gathered while it runs.
import { randomUUID } from 'node:crypto'
import { type AccessEntry, newEntry } from '../core/access-line.js'
import { clientAddress } from '../core/client-address.js'
import { ERRORS } from '../core/error.js'
import { MessageCounter } from '../core/grpc-messages.js'
import { fieldValue } from '../core/headers.js'
import type { TableRoute } from '../core/route-table.js'
import type { ProxySpec } from '../core/spec.js'
import type { Refusal } from './answers.js'
import type { RefusedRequest } from './server-options.js'
import type { RequestHead } from './stream.js'
import type { Traffic } from './traffic.js'

// The word nginx made customary for "the client closed the connection"; it is only ever logged.
const CLIENT_CLOSED = 499

export class Ledger {
  readonly entry: AccessEntry
  private readonly kind: 'grpc' | 'http'
  private messagesIn: MessageCounter | null = null
  private readonly messagesOut: MessageCounter | null
  /** Of the route: for a gRPC message, else for the request's body; 0: no limit. */
  private maxBytes = 0

  constructor(head: RequestHead, kind: 'grpc' | 'http', traffic: Traffic) {
    this.kind = kind
    this.entry = newEntry(head, { atMs: Date.now(), requestId: fieldValue(head.fields, 'x-request-id') ?? randomUUID() })
    this.entry.client = clientAddress({ peer: head.client, fields: head.fields }, traffic.settings)
    const counts = kind === 'grpc' && traffic.countsMessages
    if (counts) this.messagesIn = new MessageCounter()
    this.messagesOut = counts ? new MessageCounter() : null
  }

  routed(rules: TableRoute): void {
    this.entry.route = rules.id
    this.entry.upstream = rules.upstream
    this.maxBytes = rules.maxBodyBytes
    if (this.kind === 'grpc' && this.maxBytes > 0) this.messagesIn ??= new MessageCounter()
  }

  attempt(endpoint: string, protocol: TableRoute['protocol']): void {
    this.entry.attempts++
    this.entry.endpoint = endpoint
    this.entry.upstreamProtocol = protocol
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    this.entry.bytesIn += end - start
    this.messagesIn?.add(chunk, start, end)
  }

  /** Has more come than the route allows? */
  get isTooLarge(): boolean {
    return this.maxBytes > 0 && (this.kind === 'grpc' ? this.messagesIn!.longest : this.entry.bytesIn) > this.maxBytes
  }

  tooLarge(): Refusal {
    const what = this.kind === 'grpc' ? `a message of ${this.messagesIn!.longest} bytes` : 'the request body'
    return { code: 'REQUEST_BODY_TOO_LARGE', message: `${what} is larger than ${this.maxBytes} bytes` }
  }

  answerData(chunk: Buffer, start: number, end: number): void {
    this.entry.bytesOut += end - start
    this.messagesOut?.add(chunk, start, end)
  }

  clientGone(why: 'reset' | 'closed' | 'malformed' | 'stalled'): void {
    const { entry } = this
    // It was refused, and has left before it had read that.
    if (entry.end !== 'ok') return
    const { http, grpc } = ERRORS.REQUEST_MALFORMED
    const isOurs = why === 'malformed'
    entry.end = isOurs ? 'REQUEST_MALFORMED' : why === 'stalled' ? 'client_stalled' : 'client_gone'
    if (entry.status === 0) entry.status = isOurs ? http : CLIENT_CLOSED
    if (this.kind === 'grpc') entry.grpcStatus = isOurs ? String(grpc) : '1'
  }

  /** The request is over. */
  close(facts: { durationMs: number; retries: number }): AccessEntry {
    const { entry, messagesIn, messagesOut } = this
    entry.durationMs = facts.durationMs
    entry.retries = facts.retries
    if (messagesOut !== null) {
      entry.messagesIn = messagesIn!.count
      entry.messagesOut = messagesOut.count
    }
    return entry
  }
}

/** Of what a codec has refused before there was an exchange. */
export function refusedEntry(request: RefusedRequest, settings: ProxySpec): AccessEntry {
  const { code, status, grpcStatus, head, bytesOut } = request
  const { client, fields } = head
  const entry = newEntry(head, { atMs: Date.now(), requestId: fieldValue(fields, 'x-request-id') ?? randomUUID() })
  return Object.assign(entry, { client: clientAddress({ peer: client, fields }, settings), status, grpcStatus, bytesOut, end: code })
}
