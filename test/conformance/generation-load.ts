// Steady traffic for the tests of worker generations: kept HTTP/1 connections, short ones, raw gRPC calls and dialogues, and grpc-js.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { grpcRequest, isOver, messagesOf, rawCall } from './grpc/calls.js'
import { openWire, type Wire } from './grpc/wire.js'
import { echoClient, unary } from './grpc-echo.js'
import { message, TYPE } from './h2-frames.js'

const KEPT = 8
const KEPT_PAUSE_MS = 40
const CALLERS = 3
const CALL_EVERY_MS = 40
const DIALOGUE_EVERY_MS = 100
const DIALOGUE_PAUSE_MS = 30
const MESSAGES = 4
const SHORT_EVERY_MS = 50
const GRPC_JS_EVERY_MS = 50

export interface FailedRequest {
  kind: string
  why: string
  beganMs: number
  /** When its client said so. */
  endedMs: number
  /** This end of its connection; 0: none came about, null: nobody can tell (grpc-js). */
  localPort: number | null
}

export interface Load {
  done: Record<string, number>
  failed: FailedRequest[]
  /** Answers with `connection: close`. */
  closes: number
  /** Of every raw HTTP/2 connection so far. */
  wires: Wire[]
  /** Requests that were sent between a first GOAWAY and its PING's answer. */
  crossed: number
  /** Resolves when all that was begun is over. */
  stop(): Promise<void>
}

/** Clients of the routes /w/ (HTTP/1, `?ms=` is how long it takes) and /e/ (the echo service). */
export function startMixedLoad(port: number): Load {
  const over = new AbortController()
  const load: Load = { done: {}, failed: [], closes: 0, wires: [], crossed: 0, stop: async () => {} }
  const client = echoClient(port, '/e/', 'transparent')
  const running = [
    ...Array.from({ length: KEPT }, (_, at) => keepAsking(port, load, { over: over.signal, ms: at * 5 })),
    ...Array.from({ length: CALLERS }, () => callRaw(port, load, over.signal)),
    every(SHORT_EVERY_MS, over.signal, () => askOnce(port, load)),
    every(GRPC_JS_EVERY_MS, over.signal, () =>
      counted(
        load,
        'grpc-js unary',
        () => null,
        async () => {
          const result = await unary(client, 'unary', Buffer.from('x'))
          assert.equal(result.code, 0, `${result.code} ${result.details}`)
        },
      ),
    ),
    every(DIALOGUE_EVERY_MS, over.signal, () =>
      counted(
        load,
        'grpc-js dialogue',
        () => null,
        () => talk(client.chat()),
      ),
    ),
  ]
  load.stop = async () => {
    over.abort()
    await Promise.all(running)
    client.close()
    for (const wire of load.wires) wire.close()
  }
  return load
}

/** localPort: asked when the request has failed. */
async function counted(load: Load, kind: string, localPort: () => number | null, work: () => Promise<unknown>): Promise<void> {
  const beganMs = performance.now()
  try {
    await work()
    load.done[kind] = (load.done[kind] ?? 0) + 1
  } catch (error) {
    load.failed.push({ kind, why: (error as Error).message, beganMs, endedMs: performance.now(), localPort: localPort() })
  }
}

/** Begins one each so many ms; resolves when all are over. */
async function every(ms: number, over: AbortSignal, begin: () => Promise<void>): Promise<void> {
  const begun: Promise<void>[] = []
  for (; !over.aborted; await pause(ms)) begun.push(begin())
  await Promise.all(begun)
}

/** On a connection of its own. */
async function askOnce(port: number, load: Load): Promise<void> {
  const short: Kept = { socket: null, localPort: 0 }
  await counted(
    load,
    'h1 short',
    () => short.localPort,
    () => askKept(short, port, load, 5),
  )
  short.socket?.destroy()
}

/** localPort: of the newest connection, 0 while it does not stand. */
interface Kept {
  socket: Socket | null
  localPort: number
}

/** One request after the other on a connection that is left when the answer says so, and only then. */
async function keepAsking(port: number, load: Load, { over, ms }: { over: AbortSignal; ms: number }): Promise<void> {
  const kept: Kept = { socket: null, localPort: 0 }
  for (; !over.aborted; await pause(KEPT_PAUSE_MS)) {
    await counted(
      load,
      'h1 kept',
      () => kept.localPort,
      () => askKept(kept, port, load, ms),
    )
  }
  kept.socket?.destroy()
}

async function askKept(kept: Kept, port: number, load: Load, ms: number): Promise<void> {
  if (kept.socket === null) kept.localPort = 0
  const socket = kept.socket ?? (await connected(port))
  kept.localPort = socket.localPort ?? kept.localPort
  // Until the answer is whole it counts as lost.
  kept.socket = null
  const head = await asked(socket, `/w/x?ms=${ms}`)
  assert.match(head, /^HTTP\/1\.1 200 /)
  if (!/^connection: close\r$/im.test(head)) {
    kept.socket = socket
    return
  }
  load.closes++
  socket.end()
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  // 'close' says all there is to say.
  socket.on('error', () => {})
  return socket
}

/** Sends a request; resolves with the head of its answer when the body is complete. */
async function asked(socket: Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: suite.test\r\n\r\n`)
  let text = ''
  return new Promise((resolve, reject) => {
    const look = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const headEnd = text.indexOf('\r\n\r\n')
      const length = /^content-length: ([0-9]+)\r$/im.exec(text)?.[1]
      if (headEnd < 0 || length === undefined || text.length < headEnd + 4 + Number(length)) return
      socket.off('data', look)
      socket.off('close', lost)
      resolve(text.slice(0, headEnd + 2))
    }
    const lost = () => reject(new Error(`lost after ${JSON.stringify(text)}`))
    socket.on('data', look)
    socket.once('close', lost)
    if (socket.destroyed) lost()
  })
}

/** Calls and dialogues on one connection after the other: after a GOAWAY the next one is used, as RFC 9113 6.8 asks of clients. */
async function callRaw(port: number, load: Load, over: AbortSignal): Promise<void> {
  const begun: Promise<void>[] = []
  let wire: Wire | null = null
  for (let round = 0; !over.aborted; round++) {
    if (wire === null || wire.closed || wire.goaways.length > 0) wire = await opened(port, load, begun)
    if (wire !== null) {
      begun.push(call(load, wire, 'raw unary'))
      if (round % 4 === 0) begun.push(converse(load, wire))
    }
    await pause(CALL_EVERY_MS)
  }
  await Promise.all(begun)
}

/** Known also of a connection that is gone. */
const ports = new WeakMap<Wire, number>()

async function opened(port: number, load: Load, begun: Promise<void>[]): Promise<Wire | null> {
  let wire: Wire | null = null
  let goaways = 0
  await counted(
    load,
    'raw connect',
    () => 0,
    async () => {
      wire = await openWire(port, {
        // Sent when the first GOAWAY has come and before its PING is answered: it has crossed it, as far as the proxy can tell.
        frame: ({ type }, self) => {
          if (type !== TYPE.GOAWAY || goaways++ > 0) return
          load.crossed++
          begun.push(call(load, self, 'raw crossed'))
        },
      })
      ports.set(wire, wire.socket.localPort ?? 0)
      load.wires.push(wire)
    },
  )
  return wire
}

function call(load: Load, wire: Wire, kind: string): Promise<void> {
  return counted(
    load,
    kind,
    () => portOf(wire),
    async () => {
      const stream = await rawCall(wire, '/e/test.Echo/Unary')
      assert.equal(stream.grpcStatus, '0', stream.shape)
    },
  )
}

function converse(load: Load, wire: Wire): Promise<void> {
  return counted(
    load,
    'raw dialogue',
    () => portOf(wire),
    async () => {
      const stream = wire.open(grpcRequest('/e/test.Echo/Chat'), 'more')
      for (let left = MESSAGES; left > 0; left--) {
        wire.data(stream.id, message('hello'))
        await pause(DIALOGUE_PAUSE_MS)
      }
      wire.data(stream.id, Buffer.alloc(0), 'end')
      await isOver(stream)
      assert.deepEqual([stream.grpcStatus, messagesOf(stream.body).length], ['0', MESSAGES], stream.shape)
    },
  )
}

const portOf = (wire: Wire) => ports.get(wire) ?? 0

async function talk(chat: ReturnType<ReturnType<typeof echoClient>['chat']>): Promise<void> {
  let answers = 0
  chat.on('data', () => answers++)
  const status = new Promise<{ code: number; details: string }>(resolve => chat.on('status', resolve))
  chat.on('error', () => {})
  for (let left = MESSAGES; left > 0; left--) {
    chat.write(Buffer.from('hello'))
    await pause(DIALOGUE_PAUSE_MS)
  }
  chat.end()
  const { code, details } = await status
  assert.deepEqual([code, answers], [0, MESSAGES], `${code} ${details}`)
}

export const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))
