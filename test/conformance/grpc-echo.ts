// A real gRPC service and its client for the suite, on grpc-js with raw bytes for messages: no .proto needed.
import * as grpc from '@grpc/grpc-js'
import { endLater } from './start-proxy.js'

const RAW = {
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
}

function method(path: string, kind: { requestStream: boolean; responseStream: boolean }) {
  return { path, ...kind, ...RAW, originalName: path.split('/').pop()! }
}

function definition(prefix: string) {
  const at = `${prefix}test.Echo/`
  return {
    unary: method(`${at}Unary`, { requestStream: false, responseStream: false }),
    collect: method(`${at}Collect`, { requestStream: true, responseStream: false }),
    expand: method(`${at}Expand`, { requestStream: false, responseStream: true }),
    chat: method(`${at}Chat`, { requestStream: true, responseStream: true }),
    fail: method(`${at}Fail`, { requestStream: false, responseStream: false }),
    never: method(`${at}Never`, { requestStream: false, responseStream: false }),
    greetThenFail: method(`${at}GreetThenFail`, { requestStream: false, responseStream: true }),
    early: method(`${at}Early`, { requestStream: true, responseStream: false }),
    missing: method(`${at}Missing`, { requestStream: false, responseStream: false }),
  } satisfies grpc.ServiceDefinition
}

export interface EchoServer {
  port: number
  /** What happened, oldest first: `name METHOD`, `cancelled METHOD`, `ended METHOD`. */
  events: string[]
  /** Metadata of the last call, as the service saw it. */
  metadata(): grpc.Metadata
  stop(): void
}

/** name: comes back in the trailer `server`. */
export async function echoServer(name = 'a', port = 0): Promise<EchoServer> {
  const events: string[] = []
  let last = new grpc.Metadata()
  const server = new grpc.Server()
  const note = (call: { metadata: grpc.Metadata; on?(event: string, listener: () => void): unknown }, what: string) => {
    events.push(`${name} ${what}`)
    last = call.metadata
    call.on?.('cancelled', () => events.push(`cancelled ${what}`))
  }
  const { missing: _, ...served } = definition('/')
  server.addService(served as grpc.ServiceDefinition, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
      note(call, 'unary')
      const first = new grpc.Metadata()
      for (const value of call.metadata.get('x-ask')) first.add('x-told', value)
      for (const value of call.metadata.get('x-ask-bin')) first.add('x-told-bin', value)
      call.sendMetadata(first)
      const trailers = new grpc.Metadata()
      trailers.set('server', name)
      trailers.set('x-trail-bin', Buffer.from([0, 255, 10]))
      reply(null, call.request, trailers)
    },
    collect: (call: grpc.ServerReadableStream<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
      note(call, 'collect')
      const parts: Buffer[] = []
      call.on('data', part => parts.push(part))
      call.on('end', () => reply(null, Buffer.concat(parts)))
    },
    expand: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      note(call, 'expand')
      for (const byte of call.request) call.write(Buffer.from([byte]))
      call.end()
    },
    chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      note(call, 'chat')
      call.on('data', part => call.write(part))
      call.on('end', () => {
        events.push('ended chat')
        call.end()
      })
    },
    fail: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
      note(call, 'fail')
      const metadata = new grpc.Metadata()
      metadata.add('x-why', 'one')
      metadata.add('x-why', 'two')
      reply({ code: call.request[0]!, details: '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n', metadata })
    },
    never: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => note(call, 'never'),
    greetThenFail: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      note(call, 'greetThenFail')
      call.write(Buffer.from('hello'))
      call.emit('error', { code: grpc.status.ABORTED, details: 'after one message' })
    },
    early: (call: grpc.ServerReadableStream<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
      note(call, 'early')
      reply(null, Buffer.from('enough'))
    },
  })
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, chosen) =>
      error ? reject(error) : resolve(chosen),
    ),
  )
  return { port: bound, events, metadata: () => last, stop: endLater(() => server.forceShutdown()) }
}

type Unary = (
  message: Buffer,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, reply?: Buffer) => void,
) => grpc.ClientUnaryCall

export interface EchoClient extends grpc.Client {
  unary: Unary
  fail: Unary
  never: Unary
  missing: Unary
  collect(metadata: grpc.Metadata, done: (error: grpc.ServiceError | null, reply?: Buffer) => void): grpc.ClientWritableStream<Buffer>
  early(metadata: grpc.Metadata, done: (error: grpc.ServiceError | null, reply?: Buffer) => void): grpc.ClientWritableStream<Buffer>
  expand(message: Buffer, metadata?: grpc.Metadata): grpc.ClientReadableStream<Buffer>
  greetThenFail(message: Buffer, metadata?: grpc.Metadata): grpc.ClientReadableStream<Buffer>
  chat(metadata?: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<Buffer, Buffer>
}

/** A client whose calls go to `prefix`, with its own connection.  retries: `none` shows what the proxy says;
 *  `transparent` is what grpc-js does unless told otherwise: it sends again what was surely not begun. */
export function echoClient(port: number, prefix = '/', retries: 'none' | 'transparent' = 'none'): EchoClient {
  return buildClient(port, prefix, grpc.credentials.createInsecure(), { 'grpc.enable_retries': retries === 'none' ? 0 : 1 })
}

/** The same over TLS, with what grpc-js retries unless told otherwise.  root: the certificate it trusts; name: the one it expects there. */
export function secureEchoClient(port: number, prefix: string, { root, name }: { root: Buffer; name: string }): EchoClient {
  return buildClient(port, prefix, grpc.credentials.createSsl(root), { 'grpc.ssl_target_name_override': name })
}

function buildClient(port: number, prefix: string, credentials: grpc.ChannelCredentials, options: grpc.ClientOptions): EchoClient {
  const Echo = grpc.makeGenericClientConstructor(definition(prefix) as grpc.ServiceDefinition, 'Echo')
  const client = new Echo(`127.0.0.1:${port}`, credentials, {
    ...options,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  })
  const close = client.close.bind(client)
  client.close = endLater(close)
  return client as unknown as EchoClient
}

export interface UnaryResult {
  code: number
  details: string
  reply: Buffer | null
  initial: grpc.Metadata
  trailing: grpc.Metadata
}

/** Makes one call and tells everything about it; an error of the call is a result too. */
export async function unary(
  client: EchoClient,
  name: 'unary' | 'fail' | 'never' | 'missing',
  message: Buffer,
  { metadata = new grpc.Metadata(), deadlineMs }: { metadata?: grpc.Metadata; deadlineMs?: number } = {},
): Promise<UnaryResult> {
  let initial = new grpc.Metadata()
  const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }
  return new Promise(resolve => {
    let reply: Buffer | null = null
    const call = client[name](message, metadata, options, (_error, got) => {
      reply = got ?? null
    })
    call.on('metadata', got => {
      initial = got
    })
    call.on('status', ({ code, details, metadata: trailing }) => {
      // 'status' comes before the callback; let that run first.
      setImmediate(() => resolve({ code, details, reply, initial, trailing }))
    })
  })
}
