// A client of the interop service on grpc-js that tells everything a call showed, so that two runs can be compared.
import type { EventEmitter } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { endLater } from '../start-proxy.js'
import type { Message, Method } from './interop-service.js'

/** Everything a caller can see of one call. */
export interface Told {
  code: number
  details: string
  replies: Message[]
  initial: Record<string, unknown>
  trailing: Record<string, unknown>
}

export interface CallOptions {
  metadata?: grpc.Metadata
  deadlineMs?: number
}

export type Duplex = grpc.ClientDuplexStream<object, Message>

export class InteropClient {
  private readonly client: grpc.Client
  private readonly prefix: string
  readonly close: () => void
  /** Goes along as metadata `x-run`: a service tells by it whose call it has. */
  run = ''

  /** Calls go to `prefix` instead of '/'. */
  constructor(port: number, prefix: string, options: grpc.ChannelOptions = {}) {
    this.prefix = prefix
    this.client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
      ...options,
    })
    this.close = endLater(() => this.client.close())
  }

  async unary(method: Method, request: Message, options: CallOptions = {}): Promise<Told> {
    const replies: Message[] = []
    const [path, metadata, rest] = this.parts(method, options)
    const call = this.client.makeUnaryRequest(
      path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      rest,
      (_, reply) => {
        if (reply !== undefined) replies.push(reply)
      },
    )
    return told(call, replies)
  }

  /** A call whose request is sent by `drive`. */
  async clientStream(method: Method, drive: (call: grpc.ClientWritableStream<object>) => void, options: CallOptions = {}): Promise<Told> {
    const replies: Message[] = []
    const [path, metadata, rest] = this.parts(method, options)
    const done = (_: unknown, reply?: Message) => {
      if (reply !== undefined) replies.push(reply)
    }
    const call = this.client.makeClientStreamRequest(path, method.requestSerialize, method.responseDeserialize, metadata, rest, done)
    drive(call)
    return told(call, replies)
  }

  async serverStream(method: Method, request: Message, options: CallOptions = {}): Promise<Told> {
    const [path, metadata, rest] = this.parts(method, options)
    const call = this.client.makeServerStreamRequest(path, method.requestSerialize, method.responseDeserialize, request, metadata, rest)
    return told(call, dataOf(call))
  }

  /** A call whose both sides are in the hands of `drive`. */
  async duplex(method: Method, drive: (call: Duplex) => void, options: CallOptions = {}): Promise<Told> {
    const [path, metadata, rest] = this.parts(method, options)
    const call = this.client.makeBidiStreamRequest(path, method.requestSerialize, method.responseDeserialize, metadata, rest)
    const replies = dataOf(call)
    drive(call)
    return told(call, replies)
  }

  private parts(method: Method, { metadata, deadlineMs }: CallOptions): [string, grpc.Metadata, grpc.CallOptions] {
    const path = `${this.prefix}${method.path.slice(1)}`
    const marked = metadata?.clone() ?? new grpc.Metadata()
    marked.set('x-run', this.run)
    return [path, marked, deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }]
  }
}

function dataOf(call: EventEmitter): Message[] {
  const replies: Message[] = []
  call.on('data', (one: Message) => replies.push(one))
  return replies
}

function told(call: EventEmitter, replies: Message[]): Promise<Told> {
  let initial: Record<string, unknown> = {}
  call.on('error', () => {})
  call.on('metadata', (got: grpc.Metadata) => {
    initial = plain(got)
  })
  return new Promise(resolve => {
    call.on('status', ({ code, details, metadata }: grpc.StatusObject) => {
      // 'status' comes before the callback of a unary call; let that run first.
      setImmediate(() => resolve({ code, details, replies, initial, trailing: plain(metadata) }))
    })
  })
}

/** Metadata to compare; `date` says that it is there, for it tells the second. */
export function plain(metadata: grpc.Metadata): Record<string, unknown> {
  const out: Record<string, unknown> = metadata.toJSON()
  if ('date' in out) out.date = 'there'
  return out
}
