// The smallest exchange there is: what a client's stream says goes to a service's, and back.  For tests and for profiles of the codec.
import { createServer, type Server } from 'node:net'
import type { ProxySpec } from '../../../src/core/spec.js'
import { ServerConnection } from '../../../src/proxy/http2/server-connection.js'
import type { RefusedRequest } from '../../../src/proxy/server-options.js'
import type {
  ClientEvents,
  ClientStream,
  Failure,
  UpstreamEvents,
  UpstreamHead,
  UpstreamPool,
  UpstreamStream,
} from '../../../src/proxy/stream.js'
import { Wire } from '../../../src/proxy/wire.js'
import { PLAIN_PROXY } from '../../core/fixture-proxy.js'

/** One request on its way.  Keeps what comes before the service's stream is open. */
export class Relay implements ClientEvents, UpstreamEvents {
  private readonly client: ClientStream
  private readonly upstream: UpstreamStream
  private early: Buffer[] | null = null
  private earlyEnd: string[] | null = null
  private isUpstreamOver = false
  private hasHead = false

  constructor(client: ClientStream, pool: UpstreamPool) {
    this.client = client
    client.events = this
    const { head } = client
    const up: UpstreamHead = {
      method: head.method,
      target: head.target,
      scheme: head.scheme,
      authority: head.authority,
      fields: head.fields,
      bodyless: head.bodyless,
      upgrade: head.upgrade,
      neverIndexed: head.neverIndexed,
    }
    this.upstream = pool.open(up, this, 5000)
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    if (this.upstream.isOpen) this.upstream.sendData(chunk, start, end)
    else {
      this.early ??= []
      this.early.push(Buffer.from(chunk.subarray(start, end)))
    }
  }

  requestEnd(trailers: string[]): void {
    if (this.upstream.isOpen) this.upstream.sendEnd(trailers)
    else this.earlyEnd = trailers
  }

  requestFault(): void {
    this.client.sendReset(8)
    this.upstream.cancel()
  }

  answerDrained(bytes: number): void {
    this.upstream.grant(bytes)
  }

  answerSent(): void {
    if (!this.isUpstreamOver) this.upstream.cancel()
  }

  clientGone(): void {
    this.upstream.cancel()
  }

  opened(): void {
    for (const chunk of this.early ?? []) this.upstream.sendData(chunk, 0, chunk.length)
    if (this.earlyEnd !== null) this.upstream.sendEnd(this.earlyEnd)
  }

  informational(status: number, fields: string[]): void {
    this.client.sendInformational(status, fields)
  }

  answerHead(status: number, fields: string[], end: 'now' | 'later'): void {
    this.hasHead = true
    this.client.sendHead(status, fields, end)
  }

  answerData(chunk: Buffer, start: number, end: number): void {
    this.client.sendData(chunk, start, end)
  }

  answerEnd(trailers: string[]): void {
    this.client.sendEnd(trailers)
  }

  requestDrained(bytes: number): void {
    this.client.grant(bytes)
  }

  failed(failure: Failure): void {
    this.isUpstreamOver = true
    if (this.hasHead) {
      this.client.sendReset(2)
      return
    }
    const message = `${failure.again}: ${failure.message}`
    this.client.sendHead(502, ['x-failure', message, 'x-grpc', String(failure.grpc ?? -1), 'x-code', failure.code], 'now')
  }
}

/** A door for HTTP/2 connections that serves with `serve`. */
export async function http2Door(
  serve: (stream: ClientStream) => void,
  settings: Partial<ProxySpec> = {},
): Promise<{ port: number; connections: Set<ServerConnection>; refused: RefusedRequest[]; close(): Promise<void> }> {
  const connections = new Set<ServerConnection>()
  const refused: RefusedRequest[] = []
  const server: Server = createServer({ pauseOnConnect: true, noDelay: true }, socket => {
    const wire = Wire.accepted(socket)
    const connection = new ServerConnection(wire, {
      settings: { ...PLAIN_PROXY, ...settings },
      scheme: 'http',
      serve,
      refused: request => refused.push(request),
      isDraining: () => false,
      closed: () => connections.delete(connection),
    })
    wire.owner = connection
    connections.add(connection)
    wire.resumeReading()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    const closed = new Promise(resolve => server.close(resolve))
    for (const connection of connections) connection.destroy()
    await closed
  }
  return { port: (server.address() as { port: number }).port, connections, refused, close }
}
