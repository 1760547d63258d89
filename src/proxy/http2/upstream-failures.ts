// Why an attempt at an HTTP/2 service failed, in the words of the contract: what may be tried again, and what a gRPC client is told (rule 15).
import { GRPC, grpcFromReset } from '../../core/grpc.js'
import type { Failure } from '../stream.js'
import { CODE } from './frames.js'

/** Nothing has left: no connection, or no stream on it. */
export function unreachable(message: string): Failure {
  return { code: 'UPSTREAM_UNREACHABLE', message, again: 'unsent' }
}

/** What came is not what the protocol allows. */
export function nonsense(message: string): Failure {
  return { code: 'UPSTREAM_PROTOCOL', message, again: 'no', grpc: GRPC.INTERNAL }
}

export function connectionLost(error: Error | null): Failure {
  return { code: 'UPSTREAM_BROKEN', message: error?.message ?? 'the service closed the connection', again: 'no', grpc: GRPC.UNAVAILABLE }
}

/** GOAWAY with a last stream below ours. */
export const WENT_AWAY: Failure = {
  code: 'UPSTREAM_BROKEN',
  message: 'the service went away before it began',
  again: 'unsent',
  grpc: GRPC.UNAVAILABLE,
}

/** Of an answer, or of its trailers (rule 25). */
export const HEAD_TOO_LARGE: Failure = {
  code: 'UPSTREAM_PROTOCOL',
  message: 'the head of the answer is larger than the limit',
  again: 'no',
  grpc: GRPC.RESOURCE_EXHAUSTED,
}

/** RST_STREAM before the answer was complete. */
export function resetFailure(code: number): Failure {
  if (code === CODE.REFUSED_STREAM) {
    return { code: 'UPSTREAM_BROKEN', message: 'the service refused the stream', again: 'refused', grpc: GRPC.UNAVAILABLE }
  }
  return { code: 'UPSTREAM_PROTOCOL', message: `the service reset the stream with code ${code}`, again: 'no', grpc: grpcFromReset(code) }
}
