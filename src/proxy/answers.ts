// The answers the proxy gives itself: refusals in the caller's own form, and the proxy's health.
import type { AccessEntry } from '../core/access-line.js'
import { ERRORS, type ErrorCode } from '../core/error.js'
import { encodeGrpcMessage } from '../core/grpc.js'
import { type Fields, fieldValue } from '../core/headers.js'
import type { ClientStream } from './stream.js'

/** grpc, http: instead of the numbers in the code's row. */
export interface Refusal {
  code: ErrorCode
  message: string
  grpc?: number
  http?: number
  retryAfterS?: number
  /** Of the HTTP answer. */
  fields?: Fields
}

/** Answers a gRPC call, before its head has been answered, with one HEADERS frame (rule 8: trailers-only). */
export function refuseGrpc(client: ClientStream, trailers: Fields): void {
  const type = fieldValue(client.head.fields, 'content-type') ?? 'application/grpc'
  client.sendHead(200, ['content-type', type, ...trailers], 'now')
}

/** The trailers that end a gRPC call whose head has been answered (rule 9). */
export function grpcTrailers(refusal: Refusal): Fields {
  const status = String(refusal.grpc ?? ERRORS[refusal.code].grpc)
  return ['grpc-status', status, 'grpc-message', encodeGrpcMessage(`${refusal.code}: ${refusal.message}`)]
}

type Logged = Pick<AccessEntry, 'bytesOut'>

export function httpStatus(refusal: Refusal): number {
  return refusal.http ?? ERRORS[refusal.code].http
}

/** Answers a plain HTTP request with JSON that names code, facts and what to do. */
export function refuseHttp(client: ClientStream, refusal: Refusal, logged: Logged): void {
  const fields = refusal.fields ?? []
  const extra = refusal.retryAfterS === undefined ? fields : [...fields, 'retry-after', String(refusal.retryAfterS)]
  answerJson(client, { status: httpStatus(refusal), extra, value: errorValue(refusal) }, logged)
}

/** The body of every refusal. */
export function errorValue({ code, message }: Pick<Refusal, 'code' | 'message'>): {
  error: { code: ErrorCode; message: string; hint: string }
} {
  return { error: { code, message, hint: ERRORS[code].hint } }
}

/** One JSON value and a newline. */
export function answerJson(client: ClientStream, answer: { status: number; value: unknown; extra?: Fields }, logged: Logged): void {
  const body = Buffer.from(`${JSON.stringify(answer.value)}\n`)
  const fields = ['content-type', 'application/json; charset=utf-8', 'content-length', String(body.length), 'cache-control', 'no-store']
  const isHead = client.head.method === 'HEAD'
  // Before it is sent: with the last byte the line is written.
  if (!isHead) logged.bytesOut = body.length
  client.sendHead(answer.status, [...fields, ...(answer.extra ?? [])], isHead ? 'now' : 'later')
  if (isHead) return
  client.sendData(body, 0, body.length)
  client.sendEnd([])
}
