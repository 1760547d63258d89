// What a service's bytes are to two clients that ask one request after the other on one connection: ours, and node's, which is llhttp's.
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { Duplex } from 'node:stream'
import type { Fields } from '../../../src/core/headers.js'
import { Http1ClientConnection } from '../../../src/proxy/http1/client-connection.js'
import { Http1UpstreamStream } from '../../../src/proxy/http1/client-stream.js'
import type { Failure, UpstreamEvents } from '../../../src/proxy/stream.js'
import { Wire } from '../../../src/proxy/wire.js'
import { upstreamHead } from '../http2/recorder.js'
import { Sink } from '../http2/sink.js'
import { LIMITS } from './loopback.js'

/** An answer as one of them has it. */
export interface ReadAnswer {
  informational: number[]
  /** 0: no head has come. */
  status: number
  fields: Fields
  body: string
  trailers: Fields
  isComplete: boolean
  /** The next request may go out on the same connection. */
  isKept: boolean
}

export interface OurAnswer extends ReadAnswer {
  method: string
  /** The bytes that were taken for it. */
  from: number
  end: number
  fault: string
}

const nothing = (): ReadAnswer => ({
  informational: [],
  status: 0,
  fields: [],
  body: '',
  trailers: [],
  isComplete: false,
  isKept: false,
})

/** Keeps what is reported. */
class AnswerEvents implements UpstreamEvents {
  readonly answer: OurAnswer

  constructor(method: string, from: number) {
    this.answer = { ...nothing(), method, from, end: from, fault: '' }
  }
  opened(): void {}
  requestDrained(): void {}
  informational(status: number): void {
    this.answer.informational.push(status)
  }
  answerHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    this.answer.status = status
    this.answer.fields = fields
    this.answer.isComplete = end === 'now'
  }
  answerData(chunk: Buffer, start: number, end: number): void {
    this.answer.body += chunk.toString('latin1', start, end)
  }
  answerEnd(trailers: Fields): void {
    this.answer.trailers = trailers
    this.answer.isComplete = true
  }
  failed(failure: Failure): void {
    this.answer.fault = failure.message
  }
}

/** Asks with these methods, one after the other as long as the connection is kept; bytes come in pieces of so many, then the service ends. */
export function readByUs(bytes: Buffer, methods: readonly string[], pieceBytes: number): OurAnswer[] {
  const answers: AnswerEvents[] = []
  const wire = Wire.over(new Sink(), '')
  let isIdle = false
  const pool = {
    limits: LIMITS,
    connected: () => {},
    idle: () => {
      isIdle = true
    },
    refused: () => {},
    gone: () => {},
  }
  const streams = { unqueue: () => {}, over: () => {}, waitExpired: () => {} }
  const connection = new Http1ClientConnection(pool, wire)
  connection.connected()
  const ask = (from: number) => {
    const method = methods[answers.length]!
    const events = new AnswerEvents(method, from)
    answers.push(events)
    isIdle = false
    connection.begin(new Http1UpstreamStream(upstreamHead({ method }), events, streams, 1000))
  }
  ask(0)
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const end = Math.min(bytes.length, at + pieceBytes)
    const { answer } = answers.at(-1)!
    const piece = Buffer.from(bytes.subarray(at, end))
    connection.received(piece, 0, piece.length)
    piece.fill(0xaa)
    answer.end = end
    if (answer.fault !== '') break
    if (!answer.isComplete) continue
    answer.isKept = isIdle
    if (!isIdle || answers.length === methods.length) break
    ask(end)
  }
  connection.ended()
  connection.drop()
  return answers.map(one => one.answer)
}

/** The same requests on one connection of node's; each answer gets the bytes that it had with us, and `ends` says behind which the service ends. */
export async function readByLlhttp(bytes: Buffer, ours: readonly OurAnswer[]): Promise<(ReadAnswer & { code: string })[]> {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  // What an agent asks of a socket.
  Object.assign(socket, {
    setKeepAlive: () => socket,
    setTimeout: () => socket,
    setNoDelay: () => socket,
    ref: () => socket,
    unref: () => socket,
  })
  let connections = 0
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const createConnection = () => {
    connections++
    return socket
  }
  ;(agent as unknown as { createConnection: typeof createConnection }).createConnection = createConnection
  const answers: (ReadAnswer & { code: string })[] = []
  for (const one of ours) {
    const theirs = { ...nothing(), code: '' }
    const call = request({ agent, host: 'h', method: one.method, path: '/', maxHeaderSize: LIMITS.maxHeaderBytes })
    call.maxHeadersCount = 0
    listen(call, theirs)
    call.end()
    await new Promise(resolve => setImmediate(resolve))
    if (connections !== 1) break
    answers.push(theirs)
    socket.push(bytes.subarray(one.from, one.end))
    if (!one.isKept) {
      await settled(theirs)
      if (!theirs.isComplete && theirs.code === '') socket.push(null)
    }
    await settled(theirs)
    theirs.isKept = theirs.isComplete && call.shouldKeepAlive && !socket.destroyed
    if (!theirs.isKept) break
  }
  agent.destroy()
  socket.destroy()
  return answers
}

function listen(call: ClientRequest, theirs: ReadAnswer & { code: string }): void {
  const failed = (error: NodeJS.ErrnoException) => {
    theirs.code ||= error.code ?? 'ERROR'
  }
  call.on('error', failed)
  call.on('information', information => theirs.informational.push(information.statusCode))
  call.on('upgrade', (message, socket) => {
    head(theirs, message)
    theirs.code ||= 'UPGRADE'
    socket.destroy()
  })
  call.on('response', message => {
    head(theirs, message)
    message.on('error', failed)
    message.on('data', (chunk: Buffer) => {
      theirs.body += chunk.toString('latin1')
    })
    message.on('end', () => {
      theirs.trailers = lowered(message.rawTrailers)
      theirs.isComplete = message.complete
    })
  })
}

function head(theirs: ReadAnswer, message: IncomingMessage): void {
  theirs.status = message.statusCode!
  theirs.fields = lowered(message.rawHeaders)
}

/** Its events come over several turns: until two turns in a row have brought nothing. */
async function settled(theirs: ReadAnswer & { code: string }): Promise<void> {
  let last = ''
  for (let quiet = 0; quiet < 2; ) {
    await new Promise(resolve => setImmediate(resolve))
    const now = `${theirs.code} ${theirs.status} ${theirs.body.length} ${theirs.isComplete} ${theirs.informational.length}`
    quiet = now === last ? quiet + 1 : 0
    last = now
  }
}

function lowered(raw: string[]): string[] {
  const fields: string[] = []
  for (let at = 0; at < raw.length; at += 2) fields.push(raw[at]!.toLowerCase(), raw[at + 1]!)
  return fields
}
