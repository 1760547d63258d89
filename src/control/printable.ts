// Text of programs made safe for the tables we draw on a terminal.

/** Control characters (C0, DEL, C1 and the bidirectional overrides) as visible escapes; a tab becomes a space.
 *  Returns one line.  Throws nothing. */
export function printable(text: string): string {
  return text.replaceAll('\t', ' ').replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escapeOf)
}

function escapeOf(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}
