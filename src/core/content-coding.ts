// Which content coding an answer gets: what the client takes, and which answers gain by it.

import { type Fields, fieldValue, fieldValues } from './headers.js'
import type { CompressionSpec } from './spec.js'

export type Coding = 'br' | 'gzip'

/** The best coding that the client takes; null: none of ours.  fields: of the request.  Source: RFC 9110 12.5.3. */
export function acceptedCoding(fields: Fields): Coding | null {
  const weights = new Map<string, number>()
  for (const value of fieldValues(fields, 'accept-encoding')) {
    for (const item of value.toLowerCase().split(',')) {
      const [name = '', ...parameters] = item.split(';')
      const weight = parameters.map(text => /^\s*q=([0-9.]{1,5})\s*$/.exec(text)?.[1]).find(text => text !== undefined)
      weights.set(name.trim(), weight === undefined ? 1 : Number(weight))
    }
  }
  const weightOf = (coding: Coding) => weights.get(coding) ?? weights.get('*') ?? 0
  const [br, gzip] = [weightOf('br'), weightOf('gzip')]
  if (br > 0 && br >= gzip) return 'br'
  return gzip > 0 ? 'gzip' : null
}

/** Does this answer gain by compression, and may it be touched?  fields: of the answer. */
export function isCompressible(status: number, fields: Fields, spec: CompressionSpec): boolean {
  if (status < 200 || status === 204 || status === 206 || status === 304) return false
  if (fieldValue(fields, 'content-encoding') !== undefined) return false
  if (fieldValue(fields, 'cache-control')?.includes('no-transform')) return false
  const length = fieldValue(fields, 'content-length')
  if (length !== undefined && Number(length) < spec.minBytes) return false
  const type = (fieldValue(fields, 'content-type') ?? '').split(';')[0]!.trim().toLowerCase()
  // gRPC compresses its own messages; its bodies are never touched (rule 4).
  if (type === '' || type.startsWith('application/grpc')) return false
  return spec.types.some(wanted => wanted === type || (wanted.endsWith('/*') && type.startsWith(wanted.slice(0, -1))))
}

/** The fields of the answer once it is compressed: of unknown length, weakly the same, different for other clients. */
export function compressedFields(fields: Fields, coding: Coding): Fields {
  const out: Fields = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    const value = fields[at + 1]!
    if (name === 'content-length' || name === 'accept-ranges') continue
    out.push(name, name === 'etag' && !value.startsWith('W/') ? `W/${value}` : value)
  }
  out.push('content-encoding', coding, 'vary', 'Accept-Encoding')
  return out
}
