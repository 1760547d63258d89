// Answers of the codec itself to a request whose head nobody else gets to see.
import { encodeGrpcMessage, GRPC, isGrpcContentType } from '../../core/grpc.js'
import { type Fields, fieldValue } from '../../core/headers.js'

/** The whole answer.  request: what of its fields was collected. */
export function refusalFields(status: 431 | 501, request: Fields): Fields {
  const contentType = fieldValue(request, 'content-type')
  if (status === 501 || !isGrpcContentType(contentType)) return [':status', String(status), 'content-length', '0']
  const message = encodeGrpcMessage('the head of the request is too large')
  return [':status', '200', 'content-type', contentType!, 'grpc-status', String(GRPC.RESOURCE_EXHAUSTED), 'grpc-message', message]
}
