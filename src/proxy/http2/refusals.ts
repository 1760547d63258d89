// Requests that the codec itself refuses, because nobody else gets to see their head: the whole answer, and what the log is told of them.
import type { AccessEntry } from '../../core/access-line.js'
import { ERRORS, type ErrorCode } from '../../core/error.js'
import { encodeGrpcMessage, isGrpcContentType } from '../../core/grpc.js'
import { type Fields, fieldValue } from '../../core/headers.js'
import type { RefusedRequest } from '../server-options.js'
import { CODE } from './frames.js'

/** The whole answer.  request: what of its fields was collected. */
export function refusalFields(status: 431 | 501, request: Fields): Fields {
  if (status === 501 || !isGrpc(request)) return [':status', String(status), 'content-length', '0']
  const message = encodeGrpcMessage('the head of the request is too large')
  const type = fieldValue(request, 'content-type')!
  return [':status', '200', 'content-type', type, 'grpc-status', String(ERRORS.REQUEST_HEAD_TOO_LARGE.grpc), 'grpc-message', message]
}

/** For the log.  request: what of its fields was collected.  status: where it is not that of the code's row. */
export function refusedRequest(code: ErrorCode, client: string, request: Fields, status?: number): RefusedRequest {
  const isCall = isGrpc(request)
  // Only the refusal of a large head is an answer that gRPC can read; a client takes a reset for the same status.
  const sent = isCall && code === 'REQUEST_HEAD_TOO_LARGE' ? 200 : (status ?? ERRORS[code].http)
  return { code, status: sent, grpcStatus: isCall ? String(ERRORS[code].grpc) : null, head: knownHead(client, request), bytesOut: 0 }
}

/** For the log: the whole connection is ended, with this code of GOAWAY, or because a head took too long. */
export function failedConnection(why: number | 'late', client: string): RefusedRequest {
  const isLate = why === 'late' || why === CODE.SETTINGS_TIMEOUT
  const code = why === CODE.ENHANCE_YOUR_CALM ? 'CONNECTION_FLOODED' : 'REQUEST_MALFORMED'
  return refusedRequest(isLate ? 'REQUEST_TOO_SLOW' : code, client, [])
}

function knownHead(client: string, request: Fields): AccessEntry['head'] {
  const text = (name: string) => fieldValue(request, name) ?? ''
  const fields: Fields = []
  for (let at = 0; at < request.length; at += 2) if (!request[at]!.startsWith(':')) fields.push(request[at]!, request[at + 1]!)
  return { version: 'HTTP/2.0', method: text(':method'), target: text(':path'), authority: text(':authority'), client, fields }
}

function isGrpc(request: Fields): boolean {
  return isGrpcContentType(fieldValue(request, 'content-type'))
}
