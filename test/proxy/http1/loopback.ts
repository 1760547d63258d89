// Both halves over loopback sockets: a door for raw clients, raw services, and a relay that ties a client's stream to a service's.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after } from 'node:test'
import type { Fields } from '../../../src/core/headers.js'
import type { ProxySpec } from '../../../src/core/spec.js'
import { Http1ServerConnection } from '../../../src/proxy/http1/server-connection.js'
import type { ClientEvents, ClientStream, Failure, UpstreamEvents, UpstreamPool, UpstreamStream } from '../../../src/proxy/stream.js'
import { Wire } from '../../../src/proxy/wire.js'

const SETTINGS = {
  maxHeaderBytes: 65_536,
  maxHeaderFields: 200,
  maxRequestsPerConnection: 0,
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 10_000,
  sendTimeoutMs: 10_000,
  idleTimeoutMs: 10_000,
}

export const LIMITS = { maxConnections: 0, maxHeaderBytes: 65_536, maxHeaderFields: 200, idleMs: 10_000 }

const leftovers = new Set<() => void>()
after(() => {
  for (const end of leftovers) end()
})

export interface Door {
  port: number
  connections: Http1ServerConnection[]
  /** Connections whose `closed` has been called. */
  closed: number
  draining: boolean
}

/** Accepts clients; every sound request goes to `serve`. */
export async function openDoor(serve: (stream: ClientStream) => void, change: Partial<ProxySpec> = {}): Promise<Door> {
  const door: Door = { port: 0, connections: [], closed: 0, draining: false }
  const settings = { ...SETTINGS, ...change } as ProxySpec
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, socket => {
    const wire = Wire.accepted(socket)
    const closed = () => {
      door.closed++
    }
    const connection = new Http1ServerConnection(wire, {
      settings,
      scheme: 'http',
      serve,
      refused: () => {},
      isDraining: () => door.draining,
      closed,
    })
    wire.owner = connection
    door.connections.push(connection)
    wire.resumeReading()
  })
  door.port = await listen(server)
  return door
}

export interface Service {
  port: number
  /** Connections accepted so far. */
  sockets: Socket[]
  /** Those that the proxy has not ended. */
  open(): number
}

/** Bytes in, bytes out.  connected: called with every connection and its number, from 0. */
export async function openService(connected: (socket: Socket, number: number) => void): Promise<Service> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    socket.on('error', () => {})
    sockets.push(socket)
    leftovers.add(() => socket.destroy())
    connected(socket, sockets.length - 1)
  })
  return { port: await listen(server), sockets, open: () => sockets.filter(socket => !socket.destroyed && !socket.readableEnded).length }
}

/** Answers every head that ends with a blank line with these bytes. */
export function answering(bytes: string | Buffer): (socket: Socket) => void {
  return socket => {
    let text = ''
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      for (let at = text.indexOf('\r\n\r\n'); at !== -1; at = text.indexOf('\r\n\r\n')) {
        text = text.slice(at + 4)
        socket.write(bytes)
      }
    })
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  leftovers.add(() => server.close())
  return (server.address() as AddressInfo).port
}

export interface Client {
  socket: Socket
  /** What came so far. */
  text(): string
  send(text: string | Buffer): void
  /** Resolves with everything that came, once `enough` holds or the peer has ended. */
  until(enough?: (text: string) => boolean): Promise<string>
  /** How the connection ended: 'end', or the error's code. */
  ended(): Promise<string>
}

/** A raw client. */
export async function dial(port: number): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  leftovers.add(() => socket.destroy())
  let text = ''
  let how = ''
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
  })
  socket.on('end', () => {
    how ||= 'end'
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    how = error.code ?? 'error'
  })
  await once(socket, 'connect')
  return {
    socket,
    text: () => text,
    send: bytes => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    until: async (enough = () => false) => {
      await until(
        () => how !== '' || enough(text),
        () => `the client has ${JSON.stringify(text.slice(-300))}`,
      )
      return text
    },
    ended: async () => {
      await until(
        () => how !== '',
        () => `not ended; the client has ${JSON.stringify(text.slice(-300))}`,
      )
      return how
    },
  }
}

/** Waits until the fact holds, at most 30 s. */
export async function until(fact: () => boolean, what: () => string = () => String(fact)): Promise<void> {
  const end = performance.now() + 30_000
  while (!fact()) {
    assert.ok(performance.now() < end, what())
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** Everything that was reported about one request, and what answers it. */
export class Recorder implements ClientEvents {
  readonly stream: ClientStream
  body = ''
  trailers: Fields | null = null
  drained = 0
  sent = 0
  gone: string[] = []
  faults: string[] = []
  /** Grants what comes at once. */
  grants = true

  constructor(stream: ClientStream) {
    this.stream = stream
    stream.events = this
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    assert.equal(this.trailers, null)
    assert.equal(this.sent + this.gone.length, 0)
    this.body += chunk.toString('latin1', start, end)
    if (this.grants) this.stream.grant(end - start)
  }
  requestEnd(trailers: Fields): void {
    assert.equal(this.trailers, null)
    this.trailers = trailers
  }
  requestFault(code: string, message: string): void {
    this.faults.push(code)
    if ((this.stream as { hasBegun?: boolean }).hasBegun) this.stream.sendReset(2)
    else this.answer(code === 'REQUEST_TOO_SLOW' ? 408 : 400, message)
  }
  answerDrained(bytes: number): void {
    this.drained += bytes
  }
  answerSent(): void {
    this.sent++
    assert.equal(this.sent + this.gone.length, 1)
  }
  clientGone(why: string): void {
    this.gone.push(why)
    assert.equal(this.sent + this.gone.length, 1)
  }

  /** A whole answer. */
  answer(status: number, body: string, fields: Fields = ['content-length', String(body.length)]): void {
    this.stream.sendHead(status, fields, 'later')
    this.stream.sendData(Buffer.from(body, 'latin1'), 0, body.length)
    this.stream.sendEnd([])
  }
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade'])

export function passed(fields: Fields): Fields {
  return fields.filter((_, at) => !HOP_BY_HOP.has(fields[at - (at % 2)]!))
}

/** Ties a client's stream to an attempt, as an exchange does: nothing is repeated. */
export class Relay implements ClientEvents, UpstreamEvents {
  readonly failures: Failure[] = []
  readonly gone: string[] = []
  private readonly client: ClientStream
  private readonly service: UpstreamStream
  private waiting: Buffer[] = []
  private waitingEnd: Fields | null = null
  private hasAnswered = false

  constructor(client: ClientStream, pool: UpstreamPool) {
    this.client = client
    client.events = this
    this.service = pool.open({ ...client.head, fields: passed(client.head.fields) }, this, 1000)
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    if (this.service.isOpen) this.service.sendData(chunk, start, end)
    else this.waiting.push(Buffer.from(chunk.subarray(start, end)))
  }
  requestEnd(trailers: Fields): void {
    if (this.service.isOpen) this.service.sendEnd(trailers)
    else this.waitingEnd = trailers
  }
  requestFault(code: string): void {
    this.gone.push(code)
    if (this.hasAnswered) this.client.sendReset(2)
    else this.client.sendHead(code === 'REQUEST_TOO_SLOW' ? 408 : 400, [], 'now')
    this.service.cancel()
  }
  answerDrained(bytes: number): void {
    this.service.grant(bytes)
  }
  answerSent(): void {
    this.service.cancel()
  }
  clientGone(why: string): void {
    this.gone.push(why)
    this.service.cancel()
  }
  opened(): void {
    for (const bytes of this.waiting) this.service.sendData(bytes, 0, bytes.length)
    this.waiting = []
    if (this.waitingEnd !== null) this.service.sendEnd(this.waitingEnd)
  }
  informational(status: number, fields: Fields): void {
    this.client.sendInformational(status, passed(fields))
  }
  answerHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    this.hasAnswered = true
    this.client.sendHead(status, passed(fields), end)
  }
  answerData(chunk: Buffer, start: number, end: number): void {
    this.client.sendData(chunk, start, end)
  }
  answerEnd(trailers: Fields): void {
    this.client.sendEnd(trailers)
  }
  requestDrained(bytes: number): void {
    this.client.grant(bytes)
  }
  failed(failure: Failure): void {
    this.failures.push(failure)
    if (this.hasAnswered) this.client.sendReset(2)
    else this.client.sendHead(502, ['x-code', failure.code, 'x-again', failure.again], 'now')
  }
}
