// The vectors of the store and the search among them: exact cosine over everything, which is right for thousands.

/** At most this many; an insert past it is refused. */
export const MAX_VECTORS = 100_000
export const MAX_DIMENSIONS = 4_096

/** An empty collection; its first vector sets the number of dimensions. */
export function vectors() {
  const byId = new Map()
  let dimensions = 0

  /** Why these values cannot be stored or searched for; null where they can. */
  function problem(values) {
    if (values.length === 0 || values.length > MAX_DIMENSIONS)
      return `a vector has 1 to ${MAX_DIMENSIONS} values, this one ${values.length}`
    if (dimensions !== 0 && values.length !== dimensions) return `vectors here have ${dimensions} values, this one ${values.length}`
    if (!values.every(Number.isFinite)) return 'values must be finite numbers'
    return null
  }

  /** Stores a copy, scaled to length 1.  Returns whether it took the place of another with the same id. */
  function put(id, values) {
    const replaced = byId.delete(id)
    dimensions = values.length
    byId.set(id, unit(values))
    return replaced
  }

  /** The nearest by cosine, best first. */
  function nearest(values, limit) {
    const wanted = unit(values)
    const hits = []
    for (const [id, stored] of byId) hits.push({ id, score: dot(wanted, stored) })
    return hits.sort((a, b) => b.score - a.score).slice(0, limit)
  }

  return { problem, put, nearest, size: () => byId.size, has: id => byId.has(id) }
}

function unit(values) {
  const length = Math.hypot(...values) || 1
  return Float32Array.from(values, value => value / length)
}

function dot(a, b) {
  let sum = 0
  for (let at = 0; at < a.length; at += 1) sum += a[at] * b[at]
  return sum
}
