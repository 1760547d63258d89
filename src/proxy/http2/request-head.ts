// From the fields of a HEADERS frame to a request head: pseudo fields and everything else that RFC 9113 8.2 and 8.3 demand of them.
// Costs 3-4 % of a unary call (connection.ts): no regular expression runs over what was sound in the last head, too.
import type { Fields } from '../../core/headers.js'
import { isHost } from '../authority.js'
import type { RequestHead } from '../stream.js'
import { COLON, isConnectionField, parseLength } from './field-checks.js'
import type { NeverIndexed } from './hpack/never-indexed.js'

export interface RequestOrigin {
  /** END_STREAM came with the head. */
  ends: boolean
  scheme: string
  client: string
  neverIndexed: NeverIndexed
}

// Calls of one client are alike, and HPACK's tables give the same string again: what was sound a moment ago is not looked through twice.
let soundMethod = 'POST'
let soundPath = '/'

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// '/…' of visible ASCII without '#': a space, a control byte or a fragment has no place in a :path.
const PATH = /^\/[\x21\x22\x24-\x7e]*$/
const SCHEME = /^https?$/i

/** Of the head being read: pseudo fields, and what the plain ones say of the whole. */
const NONE = ''
let method = NONE
let path = NONE
let scheme = NONE
let authority = NONE
let protocol = NONE
let host = NONE
let contentLength = -1

/** fields: decoded, their bytes checked.  Returns the head; `malformed` for a stream error, `unsupported` for an Extended CONNECT to something else. */
export function readRequestHead(fields: Fields, origin: RequestOrigin): RequestHead | 'malformed' | 'unsupported' {
  const plainFrom = readPseudo(fields)
  if (plainFrom < 0 || !checkPlain(fields, plainFrom)) return 'malformed'
  // Whom a CONNECT is for stands in :authority and nowhere else (RFC 9113 8.5).
  if (authority === NONE) authority = method === 'CONNECT' ? NONE : host
  else if (host !== NONE && host !== authority && host.toLowerCase() !== authority.toLowerCase()) return 'malformed'
  if (authority === NONE || !isHost(authority)) return 'malformed'
  if (origin.ends && contentLength > 0) return 'malformed'
  if (method === 'CONNECT' && protocol === NONE) {
    if (path !== NONE || scheme !== NONE) return 'malformed'
    path = authority
  } else if (!SCHEME.test(scheme) || !isPathSound()) return 'malformed'
  if (protocol !== NONE && (method !== 'CONNECT' || origin.ends || contentLength >= 0)) return 'malformed'
  if (protocol !== NONE && protocol !== 'websocket') return 'unsupported'
  return {
    protocol: 'h2c',
    version: 'HTTP/2.0',
    method: protocol === NONE ? method : 'GET',
    target: path,
    scheme: origin.scheme,
    authority,
    fields: host === NONE ? fields.slice(plainFrom) : withoutHost(fields, plainFrom),
    bodyless: origin.ends,
    contentLength: origin.ends ? 0 : contentLength,
    upgrade: protocol === NONE ? null : 'websocket',
    client: origin.client,
    neverIndexed: origin.neverIndexed,
  }
}

/** Reads the pseudo fields, which stand in front, each at most once and none empty.  Returns where the plain ones begin; -1: malformed. */
function readPseudo(fields: Fields): number {
  method = NONE
  path = NONE
  scheme = NONE
  authority = NONE
  protocol = NONE
  let at = 0
  for (; at < fields.length; at += 2) {
    const name = fields[at]!
    if (name.charCodeAt(0) !== COLON) break
    const value = fields[at + 1]!
    if (value === NONE) return -1
    if (name === ':method' && method === NONE) method = value
    else if (name === ':path' && path === NONE) path = value
    else if (name === ':scheme' && scheme === NONE) scheme = value
    else if (name === ':authority' && authority === NONE) authority = value
    else if (name === ':protocol' && protocol === NONE) protocol = value
    else return -1
  }
  if (method === soundMethod) return at
  if (!TOKEN.test(method)) return -1
  soundMethod = method
  return at
}

/** The plain fields: nothing of an HTTP/1 connection, one host, one content-length, `te` only for trailers. */
function checkPlain(fields: Fields, from: number): boolean {
  host = NONE
  contentLength = -1
  for (let at = from; at < fields.length; at += 2) {
    const name = fields[at]!
    if (name.charCodeAt(0) === COLON) return false
    switch (name.length) {
      case 2:
        if (name === 'te' && fields[at + 1] !== 'trailers') return false
        break
      case 4:
        if (name !== 'host') break
        if (host !== NONE || fields[at + 1] === NONE) return false
        host = fields[at + 1]!
        break
      case 14:
        if (name !== 'content-length') break
        if (contentLength >= 0) return false
        contentLength = parseLength(fields[at + 1]!)
        if (contentLength < 0) return false
        break
      case 7:
      case 10:
      case 16:
      case 17:
        if (isConnectionField(name)) return false
    }
  }
  return true
}

/** `*` is OPTIONS' own (RFC 9113 8.3.1). */
function isPathSound(): boolean {
  if (path === soundPath) return true
  if (!PATH.test(path)) return path === '*' && method === 'OPTIONS'
  soundPath = path
  return true
}

function withoutHost(fields: Fields, from: number): Fields {
  const out: Fields = []
  for (let at = from; at < fields.length; at += 2) if (fields[at] !== 'host') out.push(fields[at]!, fields[at + 1]!)
  return out
}
