// The answers the proxy gives itself: refusals in the caller's own form, and the proxy's health.
import { ERRORS, type ErrorCode } from '../core/error.js'
import { encodeGrpcMessage, grpcFromHttp, isGrpcContentType } from '../core/grpc.js'
import { type Fields, fieldValue } from '../core/headers.js'
import type { ClientStream, Failure } from './stream.js'

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

/** A failed attempt as the caller hears of it. */
export function refusalOf(failure: Failure, upstream: string): Refusal {
  const refusal = { code: failure.code, message: `${upstream}: ${failure.message}` }
  return failure.grpc === undefined ? refusal : { ...refusal, grpc: failure.grpc }
}

/** Why a service's head is no answer to a gRPC call; null: it is one. */
export function grpcFault(status: number, fields: Fields): Failure | null {
  if (fieldValue(fields, 'grpc-status') !== undefined || isGrpcContentType(fieldValue(fields, 'content-type'))) return null
  return { code: 'UPSTREAM_PROTOCOL', message: `HTTP ${status}`, again: 'no', grpc: grpcFromHttp(status) }
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

export function httpStatus(refusal: Refusal): number {
  return refusal.http ?? ERRORS[refusal.code].http
}

/** Answers a plain HTTP request with JSON that names code, facts and what to do. */
export function refuseHttp(client: ClientStream, refusal: Refusal): void {
  const fields = refusal.fields ?? []
  const extra = refusal.retryAfterS === undefined ? fields : [...fields, 'retry-after', String(refusal.retryAfterS)]
  answerJson(client, { status: httpStatus(refusal), extra, value: errorValue(refusal) })
}

/** The body of every refusal. */
export function errorValue({ code, message }: Pick<Refusal, 'code' | 'message'>): {
  error: { code: ErrorCode; message: string; hint: string }
} {
  return { error: { code, message, hint: ERRORS[code].hint } }
}

/** One JSON value and a newline. */
export function answerJson(client: ClientStream, answer: { status: number; value: unknown; extra?: Fields }): void {
  const body = Buffer.from(`${JSON.stringify(answer.value)}\n`)
  const fields = ['content-type', 'application/json; charset=utf-8', 'content-length', String(body.length), 'cache-control', 'no-store']
  const isHead = client.head.method === 'HEAD'
  client.sendHead(answer.status, [...fields, ...(answer.extra ?? [])], isHead ? 'now' : 'later')
  if (isHead) return
  client.sendData(body, 0, body.length)
  client.sendEnd([])
}
