// The decoder's dynamic table (RFC 7541 2.3.2): a ring of fields with the verdict of their one validation.
import { FIELD_OVERHEAD } from './static-table.js'

/** What a peer may use before it has seen our settings (RFC 9113 6.5.2). */
export const INITIAL_TABLE_BYTES = 4096

export class DecoderTable {
  readonly names: string[]
  readonly values: string[]
  /** BAD_NAME, BAD_VALUE per slot. */
  readonly verdicts: Uint8Array
  private readonly mask: number
  private inserted = 0
  private count = 0
  private bytes = 0
  private limit = INITIAL_TABLE_BYTES

  /** maxBytes: the largest limit that will ever be set. */
  constructor(maxBytes: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(maxBytes, INITIAL_TABLE_BYTES) / FIELD_OVERHEAD))
    this.names = new Array(slots).fill('')
    this.values = new Array(slots).fill('')
    this.verdicts = new Uint8Array(slots)
    this.mask = slots - 1
  }

  /** The slot of the entry that is `age` insertions old, 0 the newest; -1: there is none. */
  slotOf(age: number): number {
    return age < this.count ? (this.inserted - 1 - age) & this.mask : -1
  }

  /** A field larger than the table empties it (RFC 7541 4.4). */
  insert(name: string, value: string, verdict: number): void {
    const bytes = name.length + value.length + FIELD_OVERHEAD
    this.shrinkTo(this.limit - bytes)
    if (bytes > this.limit) return
    const slot = this.inserted++ & this.mask
    this.names[slot] = name
    this.values[slot] = value
    this.verdicts[slot] = verdict
    this.count++
    this.bytes += bytes
  }

  resize(limit: number): void {
    this.limit = limit
    this.shrinkTo(limit)
  }

  /** Evicts the oldest until at most `most` bytes are left; a slot given up holds no string. */
  private shrinkTo(most: number): void {
    while (this.count > 0 && this.bytes > most) {
      const slot = (this.inserted - this.count) & this.mask
      this.bytes -= this.names[slot]!.length + this.values[slot]!.length + FIELD_OVERHEAD
      this.names[slot] = ''
      this.values[slot] = ''
      this.count--
    }
  }
}
