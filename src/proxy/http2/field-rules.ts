// Which bytes a field name and a field value may have, as one table lookup per byte.

/** Bits of BYTE_CLASS and of a verdict. */
export const BAD_NAME = 1
export const BAD_VALUE = 2
export const IS_COLON = 4

const SPACE = 0x20
const TAB = 0x09
const COLON = 0x3a

/** Bits per byte: may it stand in a name, in a value; a colon may begin a pseudo name, so it has a bit of its own.
 *  Names are lower-case tokens: RFC 9113 8.2.1 demands a part of this and allows the rest (RFC 9110 5.1), which keeps a name safe to write as HTTP/1.1.
 *  Values: RFC 9110 5.5 with obs-text; RFC 9113 8.2.1 names NUL, CR and LF, the other controls and DEL are no field-vchar either. */
export const BYTE_CLASS = byteClasses()

function byteClasses(): Uint8Array {
  const classes = new Uint8Array(256)
  for (let byte = 0; byte < 256; byte++) {
    const inName = /[!#$%&'*+\-.^_`|~0-9a-z]/.test(String.fromCharCode(byte))
    const inValue = byte === TAB || (byte >= SPACE && byte !== 0x7f)
    classes[byte] = byte === COLON ? IS_COLON : (inName ? 0 : BAD_NAME) | (inValue ? 0 : BAD_VALUE)
  }
  return classes
}

/** What a string may not be.  classes: the BYTE_CLASS of its bytes or-ed together.  bytes[from, to): the string itself.
 *  Returns BAD_NAME, BAD_VALUE, both or 0: it may be either. */
export function verdictOn(classes: number, bytes: Uint8Array, from: number, to: number): number {
  if (from === to) return BAD_NAME
  let verdict = classes & (BAD_NAME | BAD_VALUE)
  if ((classes & IS_COLON) !== 0 && !isPseudoName(bytes, from, to)) verdict |= BAD_NAME
  const first = bytes[from]!
  const last = bytes[to - 1]!
  if (first === SPACE || first === TAB || last === SPACE || last === TAB) verdict |= BAD_VALUE
  return verdict
}

/** One colon, in front of at least one other byte. */
function isPseudoName(bytes: Uint8Array, from: number, to: number): boolean {
  if (bytes[from] !== COLON || to - from < 2) return false
  for (let at = from + 1; at < to; at++) if (bytes[at] === COLON) return false
  return true
}
