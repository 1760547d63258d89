// The answers the proxy gives itself: refusals in the caller's own form, and the proxy's health.
import { ERRORS, type ErrorCode } from '../core/error.js'
import { encodeGrpcMessage } from '../core/grpc.js'
import { type Fields, fieldValue } from '../core/headers.js'
import type { ClientCall, Failure } from './message.js'

/** grpc, http: instead of the numbers in the code's row. */
export interface Refusal {
  code: ErrorCode
  message: string
  grpc?: number
  http?: number
  retryAfterS?: number
}

/** A failed attempt as the caller hears of it. */
export function refusalOf(failure: Failure, upstream: string): Refusal {
  const refusal = { code: failure.code, message: `${upstream}: ${failure.message}` }
  return failure.grpc === undefined ? refusal : { ...refusal, grpc: failure.grpc }
}

/** What was answered, for the access log. */
export interface Answered {
  status: number
  grpcStatus: string | null
}

/** Answers a gRPC call, before its head has been answered, with one HEADERS frame (rule 8: trailers-only). */
export function refuseGrpc(call: ClientCall, refusal: Refusal): Answered {
  const grpcStatus = String(refusal.grpc ?? ERRORS[refusal.code].grpc)
  const type = fieldValue(call.head.fields, 'content-type') ?? 'application/grpc'
  call.sendHead(200, ['content-type', type, ...grpcTrailers(refusal)], 'now')
  return { status: 200, grpcStatus }
}

/** The trailers that end a gRPC call whose head has been answered (rule 9). */
export function grpcTrailers(refusal: Refusal): Fields {
  const status = String(refusal.grpc ?? ERRORS[refusal.code].grpc)
  return ['grpc-status', status, 'grpc-message', encodeGrpcMessage(`${refusal.code}: ${refusal.message}`)]
}

/** Answers a plain HTTP request with JSON that names code, facts and what to do. */
export function refuseHttp(call: ClientCall, refusal: Refusal): Answered {
  const row = ERRORS[refusal.code]
  const status = refusal.http ?? row.http
  const extra = refusal.retryAfterS === undefined ? [] : ['retry-after', String(refusal.retryAfterS)]
  return answerJson(call, { status, extra, value: { error: { code: refusal.code, message: refusal.message, hint: row.hint } } })
}

/** One JSON value and a newline. */
export function answerJson(call: ClientCall, answer: { status: number; value: unknown; extra?: Fields }): Answered {
  const body = Buffer.from(`${JSON.stringify(answer.value)}\n`)
  const fields = ['content-type', 'application/json; charset=utf-8', 'content-length', String(body.length), 'cache-control', 'no-store']
  const head = call.head.method === 'HEAD'
  call.sendHead(answer.status, [...fields, ...(answer.extra ?? [])], head ? 'now' : 'later')
  if (!head) {
    call.answerBody.write(body)
    call.sendEnd([])
  }
  return { status: answer.status, grpcStatus: null }
}
