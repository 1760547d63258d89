// gRPC's interop test service on grpc-js, and its messages for whoever speaks in frames.
import { fileURLToPath } from 'node:url'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { endLater } from '../start-proxy.js'

const PROTO = fileURLToPath(new URL('../../../../test/conformance/grpc/interop.proto', import.meta.url))
const loaded = loadSync(PROTO, { defaults: true, keepCase: true })

export type Method = grpc.MethodDefinition<object, Message>
export const SERVICE = loaded['grpc.testing.TestService'] as unknown as Record<MethodName, Method>
export const OTHER = loaded['grpc.testing.UnimplementedService'] as unknown as Record<'UnimplementedCall', Method>

export type MethodName =
  | 'EmptyCall'
  | 'UnaryCall'
  | 'StreamingInputCall'
  | 'StreamingOutputCall'
  | 'FullDuplexCall'
  | 'UnimplementedCall'
  | 'UnimplementedStream'

/** What the messages of the service have in them, all of it optional. */
export interface Message {
  payload?: { body: Buffer } | null
  response_size?: number
  response_status?: { code: number; message: string } | null
  response_compressed?: { value: boolean } | null
  expect_compressed?: { value: boolean } | null
  response_parameters?: { size: number; interval_us?: number; compressed?: { value: boolean } | null }[]
  aggregated_payload_size?: number
}

export const INITIAL_KEY = 'x-grpc-test-echo-initial'
export const TRAILING_KEY = 'x-grpc-test-echo-trailing-bin'

/** A payload of zeros. */
export const zeros = (size: number) => ({ payload: { body: Buffer.alloc(size) } })

export interface InteropServer {
  port: number
  /** Request metadata of every call it has handled, oldest first. */
  seen: grpc.Metadata[]
  stop(): void
}

/** The service as interop-test-descriptions.md wants it, but for compression: grpc-js servers cannot compress. */
export async function interopServer(options: grpc.ServerOptions = {}): Promise<InteropServer> {
  const seen: grpc.Metadata[] = []
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1, ...options })
  const { UnimplementedCall: _, UnimplementedStream: __, ...served } = SERVICE
  server.addService(served as unknown as grpc.ServiceDefinition, {
    EmptyCall: (call: grpc.ServerUnaryCall<Message, Message>, reply: grpc.sendUnaryData<Message>) => {
      reply(null, {}, echo(call, seen))
    },
    UnaryCall: (call: grpc.ServerUnaryCall<Message, Message>, reply: grpc.sendUnaryData<Message>) => {
      const trailing = echo(call, seen)
      const { response_status: wanted, response_size: size } = call.request
      if (wanted) reply({ code: wanted.code, details: wanted.message, metadata: trailing })
      else reply(null, zeros(size ?? 0), trailing)
    },
    StreamingInputCall: (call: grpc.ServerReadableStream<Message, Message>, reply: grpc.sendUnaryData<Message>) => {
      const trailing = echo(call, seen)
      let size = 0
      call.on('data', (one: Message) => {
        size += one.payload?.body.length ?? 0
      })
      call.on('end', () => reply(null, { aggregated_payload_size: size }, trailing))
    },
    StreamingOutputCall: (call: grpc.ServerWritableStream<Message, Message>) => {
      const trailing = echo(call, seen)
      for (const { size } of call.request.response_parameters ?? []) call.write(zeros(size))
      call.end(trailing)
    },
    FullDuplexCall: (call: grpc.ServerDuplexStream<Message, Message>) => {
      const trailing = echo(call, seen)
      call.on('data', (one: Message) => {
        if (one.response_status)
          call.emit('error', { code: one.response_status.code, details: one.response_status.message, metadata: trailing })
        else for (const { size } of one.response_parameters ?? []) call.write(zeros(size))
      })
      call.on('end', () => call.end(trailing))
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  )
  return { port, seen, stop: endLater(() => server.forceShutdown()) }
}

interface AnyCall {
  metadata: grpc.Metadata
  sendMetadata(metadata: grpc.Metadata): void
}

/** Sends back what the client asked for.  Returns the trailing part. */
function echo(call: AnyCall, seen: grpc.Metadata[]): grpc.Metadata {
  seen.push(call.metadata)
  const initial = new grpc.Metadata()
  for (const value of call.metadata.get(INITIAL_KEY)) initial.add(INITIAL_KEY, value)
  call.sendMetadata(initial)
  const trailing = new grpc.Metadata()
  for (const value of call.metadata.get(TRAILING_KEY)) trailing.add(TRAILING_KEY, value)
  return trailing
}
