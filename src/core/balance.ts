// Which endpoint gets the next request: round robin over those that are ready.

export interface Choice<E> {
  endpoint: E
  /** Hand it in again for the next request. */
  cursor: number
}

/** Round robin.  endpoints: all of the upstream, in a stable order.  cursor: the last choice's, 0 at first.
 *  skipped: ids that this request has already tried in vain.  Returns null where no endpoint may take it. */
export function nextEndpoint<E extends { id: string; ready: boolean }>(
  endpoints: readonly E[],
  cursor: number,
  skipped: readonly string[],
): Choice<E> | null {
  const count = endpoints.length
  for (let step = 0; step < count; step++) {
    const index = (cursor + step) % count
    const endpoint = endpoints[index]!
    if (endpoint.ready && !skipped.includes(endpoint.id)) return { endpoint, cursor: index + 1 }
  }
  return null
}
