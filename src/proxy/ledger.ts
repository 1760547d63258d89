// What the access log will say of one request, gathered while it runs.
import { randomUUID } from 'node:crypto'
import { type AccessEntry, newEntry } from '../core/access-line.js'
import { clientAddress } from '../core/client-address.js'
import { MessageCounter } from '../core/grpc-messages.js'
import { fieldValue } from '../core/headers.js'
import type { TableRoute } from '../core/route-table.js'
import type { RequestHead } from './stream.js'
import type { Traffic } from './traffic.js'

// The word nginx made customary for "the client closed the connection"; it is only ever logged.
const CLIENT_CLOSED = 499

export class Ledger {
  readonly entry: AccessEntry
  private readonly kind: 'grpc' | 'http'
  private readonly messages: { in: MessageCounter; out: MessageCounter } | null

  constructor(head: RequestHead, kind: 'grpc' | 'http', traffic: Traffic) {
    this.kind = kind
    this.entry = newEntry(head, { atMs: Date.now(), requestId: fieldValue(head.fields, 'x-request-id') ?? randomUUID() })
    this.entry.client = clientAddress({ peer: head.client, fields: head.fields }, traffic.settings)
    this.messages = kind === 'grpc' && traffic.countsMessages ? { in: new MessageCounter(), out: new MessageCounter() } : null
  }

  routed(rules: TableRoute): void {
    this.entry.route = rules.id
    this.entry.upstream = rules.upstream
  }

  attempt(endpoint: string, protocol: TableRoute['protocol']): void {
    this.entry.attempts++
    this.entry.endpoint = endpoint
    this.entry.upstreamProtocol = protocol
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    this.entry.bytesIn += end - start
    this.messages?.in.add(chunk, start, end)
  }

  answerData(chunk: Buffer, start: number, end: number): void {
    this.entry.bytesOut += end - start
    this.messages?.out.add(chunk, start, end)
  }

  clientGone(why: 'reset' | 'closed' | 'malformed' | 'stalled'): void {
    const { entry } = this
    entry.end = why === 'stalled' ? 'client_stalled' : 'client_gone'
    if (entry.status === 0) entry.status = CLIENT_CLOSED
    if (this.kind === 'grpc') entry.grpcStatus = '1'
  }

  /** The request is over. */
  close(facts: { durationMs: number; retries: number }): AccessEntry {
    const { entry, messages } = this
    entry.durationMs = facts.durationMs
    entry.retries = facts.retries
    if (messages !== null) {
      entry.messagesIn = messages.in.count
      entry.messagesOut = messages.out.count
    }
    return entry
  }
}
