// Header field representations byte by byte (RFC 7541 section 6), with Huffman coding for the letters the cases use.

// RFC 7541 appendix B: code and its length in bits.
const HUFFMAN: Record<string, [number, number]> = {
  '-': [0x16, 6],
  '2': [0x02, 5],
  a: [0x03, 5],
  c: [0x04, 5],
  e: [0x05, 5],
  g: [0x26, 6],
  h: [0x27, 6],
  n: [0x2a, 6],
  p: [0x2b, 6],
  r: [0x2c, 6],
  s: [0x08, 5],
  t: [0x09, 5],
  u: [0x2d, 6],
  x: [0x79, 7],
}
export const EOS = '1'.repeat(30)

/** First bits of a literal, and how many bits are left for the index of its name. */
const LITERAL = { incremental: [0x40, 6], without: [0x00, 4], never: [0x10, 4] } as const
export type Literal = keyof typeof LITERAL
export type Coding = 'plain' | 'huffman'

/** Entry 58 of the static table. */
export const USER_AGENT = 58

/** An integer behind a prefix (section 5.1).  first: what stands in the byte beside the prefix. */
export function integer(value: number, prefixBits: number, first: number): Buffer {
  const limit = 2 ** prefixBits - 1
  if (value < limit) return Buffer.from([first | value])
  const bytes = [first | limit]
  let rest = value - limit
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

export function indexed(index: number): Buffer {
  return integer(index, 7, 0x80)
}

/** A literal whose name is an entry of a table. */
export function literalAt(kind: Literal, index: number, value: Buffer): Buffer {
  const [first, bits] = LITERAL[kind]
  return Buffer.concat([integer(index, bits, first), value])
}

/** A literal whose name is spelled out. */
export function literal(kind: Literal, name: Buffer, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([LITERAL[kind][0]]), name, value])
}

export function sizeUpdate(bytes: number): Buffer {
  return integer(bytes, 5, 0x20)
}

export function text(value: string, coding: Coding): Buffer {
  if (coding === 'plain') return Buffer.concat([integer(value.length, 7, 0), Buffer.from(value, 'latin1')])
  return huffman(bits(value), '1')
}

/** The bits of a text's codes, without padding. */
export function bits(value: string): string {
  return [...value].map(letter => HUFFMAN[letter]![0].toString(2).padStart(HUFFMAN[letter]![1], '0')).join('')
}

/** A string literal of these bits, filled up to the next byte with `pad`, then with whole bytes of ones. */
export function huffman(code: string, pad: '0' | '1', extraBytes = 0): Buffer {
  const padded = code.padEnd(Math.ceil(code.length / 8) * 8, pad) + '1'.repeat(8 * extraBytes)
  const bytes = Buffer.from(padded.match(/.{8}/g)!.map(byte => Number.parseInt(byte, 2)))
  return Buffer.concat([integer(bytes.length, 7, 0x80), bytes])
}
