// What a client of the soak is: a kind of traffic with its share of the rate.

export interface Client {
  /** One request from its first byte to its last; rejects when anything in it is not as it should be. */
  ask(): Promise<void>
  /** Its connections are left; requests that run on them may finish. */
  close(): void
}

export interface Kind {
  name: string
  /** Of all requests, in proportion to the others. */
  share: number
  /** New connections to the proxy on this port. */
  open(port: number): Client
}

/** A client that leaves politely says so when what it has just asked has left it. */
export const LEAVE_MS = 1000
/** One that cannot leave politely goes when everything it has asked is over. */
export const FINISH_MS = 30_000

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export function expectBytes(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${found} bytes instead of ${wanted}`)
}
