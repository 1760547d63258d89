// Splits a command line into words as a POSIX shell does, without expanding anything.

/** Words of a command line: blanks separate; '...', "..." and \ quote (POSIX.1-2017, Shell Command Language 2.2); an expansion `${...}` is kept whole and as it is,
 *  wherever it stands, so that a value with blanks stays one word.  No $VAR, globs, comments or operators.
 *  Returns the words, or what is wrong and where (offset into the text).  Throws nothing. */
export function splitWords(text: string): { words: string[] } | { error: string; offset: number } {
  const words: string[] = []
  const ends = expansionEnds(text)
  let word: string | null = null
  let at = 0
  while (at < text.length) {
    const char = text[at]!
    if (BLANK.test(char)) {
      if (word !== null) words.push(word)
      word = null
      at++
      continue
    }
    const piece: Piece = char === "'" ? single(text, at) : char === '"' ? double(text, at, ends) : bare(text, at, ends)
    if ('error' in piece) return { error: piece.error, offset: at }
    word = (word ?? '') + piece.value
    at = piece.end
  }
  if (word !== null) words.push(word)
  return { words }
}

type Ends = ReadonlyMap<number, number>
type Piece = { value: string; end: number } | { error: string }

const BLANK = /[ \t\r\n]/

/** Where each `${` that is closed ends (one past its brace), by where it starts; in one pass, however they nest.  Throws nothing. */
export function expansionEnds(text: string): Map<number, number> {
  const ends = new Map<number, number>()
  const open: number[] = []
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '$' && text[at + 1] === '{') open.push(at)
    const start = text[at] === '}' ? open.pop() : undefined
    if (start !== undefined) ends.set(start, at + 1)
  }
  return ends
}

function single(text: string, at: number): Piece {
  const end = text.indexOf("'", at + 1)
  return end < 0 ? { error: "a ' that is not closed" } : { value: text.slice(at + 1, end), end: end + 1 }
}

function double(text: string, at: number, ends: Ends): Piece {
  let value = ''
  let end = at + 1
  while (end < text.length && text[end] !== '"') {
    const piece = text[end] === '\\' ? escapedInDouble(text, end) : unquoted(text, end, ends)
    value += piece.value
    end = piece.end
  }
  return end < text.length ? { value, end: end + 1 } : { error: 'a " that is not closed' }
}

/** Inside double quotes a backslash quotes only these; before anything else it is itself. */
function escapedInDouble(text: string, at: number): { value: string; end: number } {
  const next = text[at + 1] ?? ''
  if (next === '\n') return { value: '', end: at + 2 }
  return next !== '' && '$`"\\'.includes(next) ? { value: next, end: at + 2 } : { value: '\\', end: at + 1 }
}

function bare(text: string, at: number, ends: Ends): Piece {
  if (text[at] !== '\\') return unquoted(text, at, ends)
  if (at + 1 === text.length) return { error: 'a \\ with nothing after it' }
  return { value: text[at + 1] === '\n' ? '' : text[at + 1]!, end: at + 2 }
}

function unquoted(text: string, at: number, ends: Ends): { value: string; end: number } {
  if (text.startsWith('$${', at)) return { value: '$${', end: at + 3 }
  const end = ends.get(at)
  return end === undefined ? { value: text[at]!, end: at + 1 } : { value: text.slice(at, end), end }
}
