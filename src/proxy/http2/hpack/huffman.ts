// The Huffman code of RFC 7541 Appendix B: its code words, and a decoder that takes up to two letters per table lookup.
// Measured as in decoder.ts: a string of 36 letters 0.31 µs; with one letter per lookup 0.5-0.6 µs.
import { BYTE_CLASS } from './field-rules.js'

/** Length in bits of the code word of every byte, and last of the end-of-string symbol.  The code is canonical (shorter first, then by symbol),
 *  so the lengths say it all. */
// biome-ignore format: sixteen to a row
export const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
]
const END_OF_STRING = 256
const LONGEST = 30
/** Code words of up to this many bits are found by one lookup. */
const WINDOW = 12
const WINDOW_MASK = (1 << WINDOW) - 1

/** Per length: the first code word, how many there are, and where their symbols begin in SYMBOLS. */
const FIRST_CODE = new Int32Array(LONGEST + 1)
const CODES_OF_LENGTH = new Int32Array(LONGEST + 1)
const FIRST_SYMBOL = new Int32Array(LONGEST + 1)
const SYMBOLS = new Int16Array(CODE_LENGTHS.length)
/** The code word of every symbol, right-aligned. */
export const CODE_WORDS = canonicalCode()

function canonicalCode(): readonly number[] {
  const words: number[] = new Array(CODE_LENGTHS.length).fill(0)
  let code = 0
  let place = 0
  for (let length = 1; length <= LONGEST; length++) {
    code *= 2
    FIRST_CODE[length] = code
    FIRST_SYMBOL[length] = place
    for (let symbol = 0; symbol < CODE_LENGTHS.length; symbol++) {
      if (CODE_LENGTHS[symbol] !== length) continue
      words[symbol] = code++
      SYMBOLS[place++] = symbol
    }
    CODES_OF_LENGTH[length] = place - FIRST_SYMBOL[length]!
  }
  return words
}

/** What the next twelve bits begin with.  Bits 0-7: first letter, 8-15: second letter, 16-19: bits of the first, 20-23: bits of both (or of the
 *  one), 24-25: letters (0: the word is longer than the window), 26-28: their BYTE_CLASS. */
const WINDOWS = windows()

function windows(): Int32Array {
  const table = new Int32Array(1 << WINDOW)
  for (let bits = 0; bits < table.length; bits++) {
    const first = shortWord(bits, WINDOW)
    if (first < 0) continue
    const firstLength = CODE_LENGTHS[first]!
    const second = shortWord(bits, WINDOW - firstLength)
    const both = firstLength + (second < 0 ? 0 : CODE_LENGTHS[second]!)
    const classes = BYTE_CLASS[first]! | (second < 0 ? 0 : BYTE_CLASS[second]!)
    table[bits] = first | (Math.max(second, 0) << 8) | (firstLength << 16) | (both << 20) | ((second < 0 ? 1 : 2) << 24) | (classes << 26)
  }
  return table
}

/** The symbol whose word stands in the low `length` bits of `bits`, from their top; -1: none is that short. */
function shortWord(bits: number, length: number): number {
  for (let size = 5; size <= length; size++) {
    const place = ((bits >>> (length - size)) & ((1 << size) - 1)) - FIRST_CODE[size]!
    if (place >= 0 && place < CODES_OF_LENGTH[size]!) return SYMBOLS[FIRST_SYMBOL[size]! + place]!
  }
  return -1
}

/** What is kept between calls; a longer string gets a buffer of its own for once. */
const KEPT_BYTES = 16_384

/** Decodes into one buffer that is used again and again; the result stands there until the next call. */
export class HuffmanDecoder {
  text: Buffer = Buffer.allocUnsafeSlow(KEPT_BYTES)
  /** BYTE_CLASS of all letters, or-ed together. */
  classes = 0
  private written = 0

  /** Decodes block[from, to) into `text`.  Returns how many letters, -1: not a valid string (RFC 7541 5.2: end-of-string symbol, padding
   *  longer than seven bits or not of ones). */
  decode(block: Uint8Array, from: number, to: number): number {
    this.makeRoom(to - from)
    const text = this.text
    let written = 0
    let classes = 0
    let bits = 0
    let have = 0
    let at = from
    while (true) {
      while (have <= 24 && at < to) {
        bits = (bits << 8) | block[at++]!
        have += 8
      }
      if (have < WINDOW) break
      const entry = WINDOWS[(bits >>> (have - WINDOW)) & WINDOW_MASK]!
      if (entry !== 0) {
        text[written] = entry & 0xff
        text[written + 1] = (entry >>> 8) & 0xff
        written += (entry >>> 24) & 3
        have -= (entry >>> 20) & 15
        classes |= entry >>> 26
        continue
      }
      // A word of 13 to 30 bits: rare letters only.  The window goes first, so that the rest fits.
      const head = (bits >>> (have - WINDOW)) & WINDOW_MASK
      have -= WINDOW
      while (have <= 24 && at < to) {
        bits = (bits << 8) | block[at++]!
        have += 8
      }
      const found = longWord(head, bits, have)
      if (found < 0) return -1
      text[written++] = found & 0xff
      classes |= BYTE_CLASS[found & 0xff]!
      have -= (found >>> 8) - WINDOW
    }
    this.written = written
    this.classes = classes
    return this.tail(bits, have)
  }

  /** The last bits, fewer than a window: up to two letters, then padding. */
  private tail(bits: number, have: number): number {
    let left = have
    while (left >= 5) {
      const entry = WINDOWS[((bits << (WINDOW - left)) | ((1 << (WINDOW - left)) - 1)) & WINDOW_MASK]!
      const length = (entry >>> 16) & 15
      if (entry === 0 || length > left) break
      this.text[this.written++] = entry & 0xff
      this.classes |= BYTE_CLASS[entry & 0xff]!
      left -= length
    }
    const padding = (1 << left) - 1
    return left < 8 && (bits & padding) === padding ? this.written : -1
  }

  private makeRoom(encodedBytes: number): void {
    const wanted = ((encodedBytes * 8) / 5 + 2) | 0
    if (wanted > this.text.length) this.text = Buffer.allocUnsafeSlow(wanted)
    else if (this.text.length > KEPT_BYTES && wanted <= KEPT_BYTES) this.text = Buffer.allocUnsafeSlow(KEPT_BYTES)
  }
}

/** The word that begins with the twelve bits `head` and goes on in the low `have` bits of `bits`.  Returns symbol | length << 8,
 *  -1: the string ends inside the word, or it is the end-of-string symbol. */
function longWord(head: number, bits: number, have: number): number {
  const most = Math.min(LONGEST - WINDOW, have)
  for (let more = 1; more <= most; more++) {
    const length = WINDOW + more
    const code = (head << more) | ((bits >>> (have - more)) & ((1 << more) - 1))
    const place = code - FIRST_CODE[length]!
    if (place < 0 || place >= CODES_OF_LENGTH[length]!) continue
    const symbol = SYMBOLS[FIRST_SYMBOL[length]! + place]!
    return symbol === END_OF_STRING ? -1 : symbol | (length << 8)
  }
  return -1
}
