// The proxy's own answer to a request that never became one: JSON that names code, facts and what to do, and the connection's end.
import { STATUS_CODES } from 'node:http'
import type { ErrorCode } from '../../core/error.js'
import { errorValue } from '../answers.js'
import type { Wire } from '../wire.js'
import type { RefusedStatus } from './head-parser.js'
import { writeText } from './latin1.js'

/** Writes the whole answer.  The caller ends the connection behind it. */
export function writeRefusal(wire: Wire, status: RefusedStatus, message: string): void {
  const code = CODES[status]
  const body = `${JSON.stringify(errorValue({ code, message }))}\n`
  const length = Buffer.byteLength(body)
  const fields = `content-type: application/json; charset=utf-8\r\ncontent-length: ${length}\r\ncache-control: no-store\r\nconnection: close\r\n`
  writeText(wire, `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields}\r\n`)
  wire.ensure(length)
  wire.length += wire.buffer.write(body, wire.length)
  wire.touch()
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
