// Why a request is refused once it is under way: a failed attempt, an answer that is none, a limit that has passed.
import { grpcFromHttp, isGrpcContentType } from '../core/grpc.js'
import { type Fields, fieldValue } from '../core/headers.js'
import type { Refusal } from './answers.js'
import type { Failure } from './stream.js'

/** A failed attempt as the caller hears of it. */
export function refusalOf(failure: Failure, upstream: string): Refusal {
  const refusal = { code: failure.code, message: `${upstream}: ${failure.message}` }
  return failure.grpc === undefined ? refusal : { ...refusal, grpc: failure.grpc }
}

/** A limit for the whole request has passed. */
export function tooLate(upstream: string, whose: 'client' | 'route'): Refusal {
  const [code, limit] =
    whose === 'client' ? (['DEADLINE_PASSED', "call's grpc-timeout"] as const) : (['TIME_LIMIT_PASSED', "route's total_timeout"] as const)
  return { code, message: `${upstream} did not finish within the ${limit}` }
}

/** Nothing has moved for as long as it may. */
export function tooQuiet(silence: { upstream: string; limitMs: number; whose: 'client' | 'service' }): Refusal {
  const { upstream, limitMs, whose } = silence
  if (whose === 'client') return { code: 'REQUEST_TOO_SLOW', message: `the body of the request stood still for ${limitMs} ms` }
  return { code: 'UPSTREAM_TIMEOUT', message: `${upstream}: nothing for ${limitMs} ms` }
}

/** Why a service's head is no answer to a gRPC call; null: it is one. */
export function grpcFault(status: number, fields: Fields): Failure | null {
  if (fieldValue(fields, 'grpc-status') !== undefined || isGrpcContentType(fieldValue(fields, 'content-type'))) return null
  return { code: 'UPSTREAM_PROTOCOL', message: `HTTP ${status}`, again: 'no', grpc: grpcFromHttp(status) }
}
