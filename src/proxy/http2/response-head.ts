// From the fields of a HEADERS frame to the head of an answer: its status, and what RFC 9113 8.2 and 8.3.2 demand of the rest.
import type { Fields } from '../../core/headers.js'
import { COLON, isConnectionField, parseLength } from './field-checks.js'

/** Of the head read last; -1: it has none. */
export let answerLength = -1

/** fields: decoded, their bytes checked.  Returns the status, 100-599; 0 where the head is malformed.  Sets `answerLength`. */
export function readResponseHead(fields: Fields): number {
  answerLength = -1
  if (fields.length < 2 || fields[0] !== ':status' || !STATUS.test(fields[1]!)) return 0
  for (let at = 2; at < fields.length; at += 2) {
    const name = fields[at]!
    if (name.charCodeAt(0) === COLON || isConnectionField(name)) return 0
    if (name.length !== 14 || name !== 'content-length') continue
    const length = parseLength(fields[at + 1]!)
    if (length < 0 || answerLength >= 0) return 0
    answerLength = length
  }
  return Number(fields[1])
}

const STATUS = /^[1-5][0-9][0-9]$/
