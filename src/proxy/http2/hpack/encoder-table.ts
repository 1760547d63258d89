// The encoder's dynamic table: a ring of fields, found by name and then by value, and the memory of values seen once.
import { INDEX_REPEATED, KNOWN_NAMES } from './encoder-policy.js'
import { FIELD_OVERHEAD, STATIC_COUNT } from './static-table.js'

/** Our own use of any peer's table. */
export const TABLE_CAP_BYTES = 4096
const SLOTS = TABLE_CAP_BYTES / FIELD_OVERHEAD
const MASK = SLOTS - 1
/** Entries of one name that are compared before we call a value new: a name with more values than this is not worth the search. */
const MOST_COMPARED = 16
/** Memory of values seen once. */
const SIGHTS = 128

/** What one connection knows of a name. */
export class NameRecord {
  /** Of its first static entry; 0: none. */
  readonly index: number
  readonly values: readonly string[]
  readonly policy: number
  readonly known: boolean
  readonly hash: number
  /** Number of its newest insertion into the table; older ones follow by EncoderTable.before.  -1: none. */
  newest = -1

  constructor(name: string) {
    const known = KNOWN_NAMES.get(name)
    this.index = known?.index ?? 0
    this.values = known?.values ?? []
    this.policy = known?.policy ?? INDEX_REPEATED
    this.known = known !== undefined
    this.hash = hashOf(name, 0)
  }
}

export class EncoderTable {
  limit = TABLE_CAP_BYTES
  private readonly names: string[] = new Array(SLOTS).fill('')
  private readonly values: string[] = new Array(SLOTS).fill('')
  private readonly records: (NameRecord | null)[] = new Array(SLOTS).fill(null)
  /** Per slot: number of the insertion of the same name before it. */
  private readonly before = new Int32Array(SLOTS)
  private readonly byName = new Map<string, NameRecord>()
  private readonly sights = new Int32Array(SIGHTS)
  private inserted = 0
  private oldest = 0
  private bytes = 0

  /** A name that is neither well known nor in the table gets a record for once. */
  recordOf(name: string): NameRecord {
    return this.byName.get(name) ?? this.meet(name)
  }

  /** The index of the whole field; 0: not in the table. */
  find(record: NameRecord, value: string): number {
    let number = record.newest
    for (let compared = 0; number >= this.oldest && compared < MOST_COMPARED; compared++) {
      const slot = number & MASK
      if (this.values[slot] === value) return STATIC_COUNT + this.inserted - number
      number = this.before[slot]!
    }
    return 0
  }

  /** An index with this name; 0: none. */
  nameIndex(record: NameRecord): number {
    if (record.index !== 0) return record.index
    return record.newest >= this.oldest ? STATIC_COUNT + this.inserted - record.newest : 0
  }

  /** Is it worth a place in the table?  It came before, and takes no more than a quarter. */
  cameBefore(record: NameRecord, name: string, value: string): boolean {
    if ((name.length + value.length + FIELD_OVERHEAD) * 4 > this.limit) return false
    const hash = hashOf(value, record.hash) | 1
    const place = (Math.imul(hash, 0x9e3779b1) >>> 25) & (SIGHTS - 1)
    if (this.sights[place] === hash) return true
    this.sights[place] = hash
    return false
  }

  insert(record: NameRecord, name: string, value: string): void {
    const bytes = name.length + value.length + FIELD_OVERHEAD
    this.shrinkTo(this.limit - bytes)
    if (!record.known && record.newest < 0) this.byName.set(name, record)
    const number = this.inserted++
    const slot = number & MASK
    this.names[slot] = name
    this.values[slot] = value
    this.records[slot] = record
    this.before[slot] = record.newest
    record.newest = number
    this.bytes += bytes
  }

  resize(limit: number): void {
    this.limit = limit
    this.shrinkTo(limit)
  }

  private meet(name: string): NameRecord {
    const record = new NameRecord(name)
    if (record.known) this.byName.set(name, record)
    return record
  }

  /** Evicts the oldest until at most `most` bytes are left; with the last entry of a name that is not well known its record goes. */
  private shrinkTo(most: number): void {
    while (this.bytes > most && this.oldest < this.inserted) {
      const slot = this.oldest & MASK
      const record = this.records[slot]!
      const name = this.names[slot]!
      this.bytes -= name.length + this.values[slot]!.length + FIELD_OVERHEAD
      if (record.newest === this.oldest) {
        record.newest = -1
        if (!record.known) this.byName.delete(name)
      }
      this.names[slot] = ''
      this.values[slot] = ''
      this.records[slot] = null
      this.oldest++
    }
  }
}

function hashOf(text: string, seed: number): number {
  let hash = seed ^ text.length
  for (let place = 0; place < text.length; place++) hash = Math.imul(hash, 31) + text.charCodeAt(place)
  return hash | 0
}
