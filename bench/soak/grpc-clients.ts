// The soak's gRPC traffic with the real client: calls, streams in both directions, cancels; it never tries a call twice by itself.
import * as grpc from '@grpc/grpc-js'
import { type Client, expectBytes, FINISH_MS, type Kind, pause } from './client.js'
import { grpcMethods } from './grpc-methods.js'
import { Lost } from './ledger.js'

const MESSAGE = Buffer.alloc(300, 'm')
// Within what the proxy keeps to send again (64 KiB): a GOAWAY that crosses it is no reason to fail.
const LARGE_MESSAGE = Buffer.alloc(60_000, 'l')
const MESSAGES = 8
const TALK_PAUSE_MS = 40
const CANCEL_MS = 10

export const GRPC_KINDS: Kind[] = [
  { name: 'grpc unary', share: 15, open: port => channel(port, echo => unary(echo, MESSAGE)) },
  { name: 'grpc large', share: 2, open: port => channel(port, echo => unary(echo, LARGE_MESSAGE)) },
  { name: 'grpc client stream', share: 3, open: port => channel(port, collect) },
  { name: 'grpc server stream', share: 3, open: port => channel(port, expand) },
  { name: 'grpc dialogue', share: 3, open: port => channel(port, chat) },
  { name: 'grpc cancel', share: 3, open: port => channel(port, cancel) },
]

type Done = (error: grpc.ServiceError | null, reply?: Buffer) => void

interface Echo extends grpc.Client {
  unary(message: Buffer, done: Done): grpc.ClientUnaryCall
  collect(done: Done): grpc.ClientWritableStream<Buffer>
  expand(message: Buffer): grpc.ClientReadableStream<Buffer>
  chat(): grpc.ClientDuplexStream<Buffer, Buffer>
}

function channel(port: number, ask: (echo: Echo) => Promise<void>): Client {
  const Constructor = grpc.makeGenericClientConstructor(grpcMethods('/g/'), 'Echo')
  const echo = new Constructor(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
  }) as unknown as Echo
  return { ask: () => ask(echo), close: () => void setTimeout(() => echo.close(), FINISH_MS) }
}

async function unary(echo: Echo, message: Buffer): Promise<void> {
  const reply = await new Promise<Buffer | undefined>((resolve, reject) => {
    echo.unary(message, (error, got) => (error === null ? resolve(got) : reject(failed(error))))
  })
  expectBytes(reply?.length ?? 0, message.length)
}

async function collect(echo: Echo): Promise<void> {
  const reply = await new Promise<Buffer | undefined>((resolve, reject) => {
    const call = echo.collect((error, got) => (error === null ? resolve(got) : reject(failed(error))))
    void talk(call)
  })
  expectBytes(Number(reply), MESSAGES * MESSAGE.length)
}

async function expand(echo: Echo): Promise<void> {
  const call = echo.expand(Buffer.alloc(MESSAGES))
  expectBytes(await received(call), MESSAGES)
}

async function chat(echo: Echo): Promise<void> {
  const call = echo.chat()
  void talk(call)
  expectBytes(await received(call), MESSAGES * MESSAGE.length)
}

async function cancel(echo: Echo): Promise<void> {
  const call = echo.chat()
  const failure = received(call).then(
    () => null,
    (error: grpc.ServiceError) => error,
  )
  call.write(MESSAGE)
  await pause(CANCEL_MS)
  call.cancel()
  const error = await failure
  if (error !== null && error.code !== grpc.status.CANCELLED) throw error
}

async function talk(call: grpc.ClientWritableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>): Promise<void> {
  for (let left = MESSAGES; left > 0 && !call.destroyed; left--) {
    call.write(MESSAGE)
    await pause(TALK_PAUSE_MS)
  }
  call.end()
}

/** Resolves with the bytes of all messages when the status is OK. */
function received(call: grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>): Promise<number> {
  let bytes = 0
  return new Promise((resolve, reject) => {
    call.on('data', (message: Buffer) => {
      bytes += message.length
    })
    call.on('error', error => reject(failed(error as grpc.ServiceError)))
    call.on('end', () => resolve(bytes))
  })
}

/** With the code of the status. */
function failed({ code, details }: grpc.ServiceError): Error {
  const isLost = code === grpc.status.UNAVAILABLE && details.startsWith('UPSTREAM_BROKEN')
  const error = isLost ? new Lost(`14 ${details}`) : new Error(`${code} ${details}`)
  return Object.assign(error, { code })
}
