// Reads header blocks as RFC 7541 says, for the suite's ends of a connection: written apart from the proxy's own decoder, so that one checks the other.

export type Field = [name: string, value: string]

const ENTRY_OVERHEAD = 32
const DEFAULT_TABLE_BYTES = 4096

/** One direction of one connection. */
export class HpackReader {
  private readonly entries: Field[] = []
  private bytes = 0
  private limit = DEFAULT_TABLE_BYTES
  private block: Buffer = Buffer.alloc(0)
  private at = 0

  /** Decodes one whole block.  Throws where it is none. */
  read(block: Buffer): Field[] {
    this.block = block
    this.at = 0
    const fields: Field[] = []
    while (this.at < block.length) {
      const first = block[this.at]!
      if (first & 0x80) fields.push(this.entry(this.integer(7)))
      else if (first & 0x40) fields.push(this.added(this.literal(6)))
      else if (first & 0x20) this.resize(this.integer(5))
      else fields.push(this.literal(4))
    }
    return fields
  }

  private literal(bits: number): Field {
    const index = this.integer(bits)
    const name = index === 0 ? this.text() : this.entry(index)[0]
    return [name, this.text()]
  }

  private entry(index: number): Field {
    const found = index <= STATIC.length ? STATIC[index - 1] : this.entries[index - STATIC.length - 1]
    if (found === undefined) throw new Error(`hpack: no entry ${index}`)
    return found
  }

  private added(field: Field): Field {
    this.entries.unshift(field)
    this.bytes += sizeOf(field)
    this.evict()
    return field
  }

  private resize(bytes: number): void {
    if (bytes > DEFAULT_TABLE_BYTES) throw new Error(`hpack: table of ${bytes} bytes`)
    this.limit = bytes
    this.evict()
  }

  private evict(): void {
    while (this.bytes > this.limit) this.bytes -= sizeOf(this.entries.pop()!)
  }

  private integer(bits: number): number {
    const mask = 2 ** bits - 1
    let value = this.byte() & mask
    if (value < mask) return value
    for (let scale = 1; ; scale *= 128) {
      const next = this.byte()
      value += (next & 127) * scale
      if (next < 128) return value
    }
  }

  private text(): string {
    const huffman = (this.block[this.at]! & 0x80) !== 0
    const length = this.integer(7)
    const bytes = this.block.subarray(this.at, this.at + length)
    if (bytes.length < length) throw new Error('hpack: text beyond the block')
    this.at += length
    return (huffman ? unpack(bytes) : bytes).toString('latin1')
  }

  private byte(): number {
    const value = this.block[this.at++]
    if (value === undefined) throw new Error('hpack: the block ends early')
    return value
  }
}

function sizeOf([name, value]: Field): number {
  return name.length + value.length + ENTRY_OVERHEAD
}

/** Undoes the Huffman code; what is left over must be the start of EOS, i.e. at most seven ones. */
function unpack(bytes: Buffer): Buffer {
  const out: number[] = []
  let code = 1
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1)
      const symbol = SYMBOLS.get(code)
      if (symbol === undefined) continue
      if (symbol === EOS) throw new Error('hpack: EOS in a text')
      out.push(symbol)
      code = 1
    }
  }
  if (code >= 2 ** 8 || (code & (code + 1)) !== 0) throw new Error('hpack: wrong padding')
  return Buffer.from(out)
}

const EOS = 256

// Appendix B's code is canonical: the lengths say everything.  One line per 16 symbols, EOS last.
const LENGTHS = `
13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
30`
  .trim()
  .split(/\s+/)
  .map(Number)

/** Code with a leading one in front of it, so that leading zeros count. */
const SYMBOLS = new Map<number, number>()
{
  let code = 0
  for (let length = 5; length <= 30; length++, code *= 2)
    for (const [symbol, bits] of LENGTHS.entries()) if (bits === length) SYMBOLS.set(2 ** length + code++, symbol)
}

const STATIC: Field[] = `
:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206|:status 304
:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept
access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length
content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range
if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after
server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
  .trim()
  .split(/[|\n]/)
  .map(entry => {
    const [name, ...value] = entry.split(' ')
    return [name!, value.join(' ')]
  })
