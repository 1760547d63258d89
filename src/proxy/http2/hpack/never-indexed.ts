// Names whose fields a peer has marked as never indexed: whoever sends such a field on must mark it, too (RFC 7541 6.2.3, 7.1.3).
//
// Kept per connection and by name, not per field: a name that was secret once is taken for secret from then on.  That marks more than the peer did,
// never less, and costs the usual block nothing: a stream holds the list of the connection its fields come from, and heads look at `isEmpty`.
import { KNOWN_NAMES, SECRET } from './encoder-policy.js'
import { FIELD_OVERHEAD } from './static-table.js'

/** What the names of one connection may take, counted as in HPACK's tables; a peer that marks more has everything marked. */
export const MAX_MARKED_BYTES = 4096

export class NeverIndexed {
  isEmpty = true
  private isAll = false
  private bytes = 0
  private names: Set<string> | null = null

  /** Names of which the encoder knows by itself that they are secret are not kept: `authorization` is what clients mark most. */
  add(names: readonly string[]): void {
    for (const name of names) if (KNOWN_NAMES.get(name)?.policy !== SECRET && !this.has(name)) this.keep(name)
  }

  has(name: string): boolean {
    return this.isAll || this.names?.has(name) === true
  }

  private keep(name: string): void {
    this.isEmpty = false
    this.bytes += name.length + FIELD_OVERHEAD
    this.names ??= new Set()
    if (this.bytes <= MAX_MARKED_BYTES) this.names.add(name)
    else {
      this.isAll = true
      this.names = null
    }
  }
}

/** Of HTTP/1, which knows no such mark, and of what we say ourselves. */
export const NOTHING_MARKED = new NeverIndexed()
