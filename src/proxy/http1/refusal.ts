// The proxy's own answer to a request that never became one: JSON that names code, facts and what to do, and the connection's end.
import { STATUS_CODES } from 'node:http'
import type { ErrorCode } from '../../core/error.js'
import { errorValue } from '../answers.js'
import type { ServerOptions } from '../server-options.js'
import type { Wire } from '../wire.js'
import type { RefusedStatus, RequestParser } from './head-parser.js'
import { writeText } from './latin1.js'

/** Writes the whole answer, and has the refusal logged.  parser: of the head.  The caller ends the connection behind it. */
export function refuseHead(wire: Wire, parser: RequestParser, options: ServerOptions): void {
  const status = parser.status as RefusedStatus
  const code = CODES[status]
  // Whoever sent what is no HTTP of any version could read no answer.
  const body = parser.isForeign ? '' : `${JSON.stringify(errorValue({ code, message: parser.message }))}\n`
  const bytesOut = Buffer.byteLength(body)
  if (bytesOut > 0) {
    const fields = `content-type: application/json; charset=utf-8\r\ncontent-length: ${bytesOut}\r\ncache-control: no-store\r\nconnection: close\r\n`
    writeText(wire, `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields}\r\n`)
    wire.ensure(bytesOut)
    wire.length += wire.buffer.write(body, wire.length)
    wire.touch()
  }
  options.refused({ code, status, grpcStatus: null, head: parser.known(wire.remoteAddress), bytesOut })
}

const CODES: Record<RefusedStatus, ErrorCode> = {
  400: 'REQUEST_MALFORMED',
  408: 'REQUEST_TOO_SLOW',
  414: 'REQUEST_HEAD_TOO_LARGE',
  417: 'EXPECTATION_UNKNOWN',
  431: 'REQUEST_HEAD_TOO_LARGE',
  501: 'REQUEST_MALFORMED',
  505: 'REQUEST_MALFORMED',
}
