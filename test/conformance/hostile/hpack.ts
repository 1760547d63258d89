// HPACK for the suite's own ends of a connection: decodes whatever the proxy encodes, independent of the proxy's code (RFC 7541).

/** A list of fields in order, pseudo fields included. */
export type FieldList = [string, string][]

const STATIC: FieldList = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((status): [string, string] => [':status', status]),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...(
    'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control content-disposition ' +
    'content-encoding content-language content-length content-location content-range content-type cookie date etag expect expires ' +
    'from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards ' +
    'proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security ' +
    'transfer-encoding user-agent vary via www-authenticate'
  )
    .split(' ')
    .map((name): [string, string] => [name, '']),
]

/** Bits of every symbol's code, 0 to 255 and the end mark; the code is canonical, so the lengths are all there is to know. */
const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10,
  12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7,
  7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22,
  23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22,
  23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
  24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]

const CODES = new Map<number, number>()
for (let bits = 5, code = 0; bits <= 30; bits++, code *= 2) {
  for (let symbol = 0; symbol < LENGTHS.length; symbol++) if (LENGTHS[symbol] === bits) CODES.set(bits * 2 ** 31 + code++, symbol)
}

/** Decodes the header blocks of one direction of one connection, in order.  Throws where a block is no HPACK. */
export class Decoder {
  private readonly table: FieldList = []
  private size = 0
  private limit = 4096
  private bytes: Buffer = Buffer.alloc(0)
  private at = 0

  block(bytes: Buffer): FieldList {
    this.bytes = bytes
    this.at = 0
    const fields: FieldList = []
    while (this.at < bytes.length) {
      const first = bytes[this.at]!
      if ((first & 0x80) !== 0) fields.push(this.entry(this.integer(7)))
      else if ((first & 0xe0) === 0x20) this.resize(this.integer(5))
      else {
        const indexed = (first & 0xc0) === 0x40
        const index = this.integer(indexed ? 6 : 4)
        const name = index === 0 ? this.text() : this.entry(index)[0]
        const field: [string, string] = [name, this.text()]
        fields.push(field)
        if (indexed) this.insert(field)
      }
    }
    return fields
  }

  private entry(index: number): [string, string] {
    const found = index <= STATIC.length ? STATIC[index - 1] : this.table[index - STATIC.length - 1]
    if (found === undefined) throw new Error(`HPACK: no entry ${index}`)
    return found
  }

  private insert(field: [string, string]): void {
    this.table.unshift(field)
    this.size += field[0].length + field[1].length + 32
    this.shrink()
  }

  private resize(limit: number): void {
    this.limit = limit
    this.shrink()
  }

  private shrink(): void {
    while (this.size > this.limit) {
      const [name, value] = this.table.pop()!
      this.size -= name.length + value.length + 32
    }
  }

  private integer(prefix: number): number {
    const full = 2 ** prefix - 1
    let value = this.byte() & full
    if (value < full) return value
    for (let factor = 1; ; factor *= 128) {
      const more = this.byte()
      value += (more & 127) * factor
      if (more < 128) return value
    }
  }

  private text(): string {
    const coded = (this.bytes[this.at]! & 0x80) !== 0
    const length = this.integer(7)
    const part = this.bytes.subarray(this.at, this.at + length)
    if (part.length < length) throw new Error('HPACK: a text goes beyond its block')
    this.at += length
    return coded ? huffman(part) : part.toString('latin1')
  }

  private byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new Error('HPACK: a block ends in the middle')
    return byte
  }
}

function huffman(bytes: Buffer): string {
  const out: number[] = []
  let code = 0
  let bits = 0
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1)
      bits++
      const symbol = CODES.get(bits * 2 ** 31 + code)
      if (symbol === undefined) continue
      out.push(symbol)
      code = 0
      bits = 0
    }
  }
  if (bits > 7 || code !== 2 ** bits - 1) throw new Error('HPACK: a text ends in the middle of a code')
  return Buffer.from(out).toString('latin1')
}
