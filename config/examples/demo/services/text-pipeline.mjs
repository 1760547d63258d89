// The stages of the text pipeline: plain functions from text to tokens to a vector.

/** Length of the vectors; a power of two, so that a hash is cut to an index by a mask. */
export const DIMENSIONS = 64
const TOP_TERMS = 5
const STOP_WORDS = new Set(
  'a an and are as at be but by can do for from has have how i if in into is it its not of on or so that the their then there these they this to was we what when where which who why will with you your'.split(
    ' ',
  ),
)
const SUFFIXES = ['ingly', 'edly', 'ies', 'ing', 'ed', 'es', 'ly', 's']

/** The stages in their order: each takes what the one before gave; `stem` is the last that gives tokens. */
export const STAGES = [
  ['normalise', text => text.normalize('NFKC').toLowerCase()],
  ['tokenise', text => text.match(/[\p{L}\p{N}]+/gu) ?? []],
  ['filter', tokens => tokens.filter(token => token.length > 1 && !STOP_WORDS.has(token))],
  ['stem', tokens => tokens.map(stem)],
]

/** The whole pipeline on one text: its tokens and its vector. */
export function analyse(text) {
  const tokens = STAGES.reduce((value, [, stage]) => stage(value), text)
  return { tokens, vector: embed(tokens) }
}

/** Adds the tokens to the counts and returns these. */
export function countTerms(tokens, counts = new Map()) {
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1)
  return counts
}

/** The most frequent terms, then by alphabet; at most TOP_TERMS. */
export function topTerms(counts) {
  return [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, TOP_TERMS)
    .map(([term, count]) => ({ term, count }))
}

/** A text as a unit vector by feature hashing: every token adds +1 or -1 at the place its hash names.  No tokens: all zero. */
export function embed(tokens) {
  const vector = new Array(DIMENSIONS).fill(0)
  for (const token of tokens) {
    const hash = fnv1a(token)
    vector[hash & (DIMENSIONS - 1)] += hash & 0x80000000 ? -1 : 1
  }
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map(value => value / length)
}

function stem(token) {
  const suffix = SUFFIXES.find(end => token.endsWith(end) && token.length - end.length >= 3)
  return suffix ? token.slice(0, -suffix.length) : token
}

function fnv1a(text) {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
