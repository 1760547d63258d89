// The proxy's own answer to a request that never became one: JSON that names code, facts and what to do, and the connection's end.
import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode } from '../../core/error.js'
import type { Wire } from '../wire.js'
import type { RefusedStatus } from './head-parser.js'
import { writeText } from './latin1.js'

/** Writes the whole answer.  The caller ends the connection behind it. */
export function writeRefusal(wire: Wire, status: RefusedStatus, message: string): void {
  const code = codeOf(status)
  const body = `${JSON.stringify({ error: { code, message, hint: ERRORS[code].hint } })}\n`
  const length = Buffer.byteLength(body)
  writeText(
    wire,
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${length}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n`,
  )
  wire.ensure(length)
  wire.length += wire.buffer.write(body, wire.length)
  wire.touch()
}

function codeOf(_status: RefusedStatus): ErrorCode {
  return 'REQUEST_MALFORMED'
}
