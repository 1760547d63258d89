// The open streams of one connection by their ids: buckets of linked records.
// A Map rewrites its table every few dozen requests, and the table it leaves behind holds the records it had: the young generation's
// collector takes them for alive and moves nearly every record of a busy connection to the old one (measured: 7 of 16 MB per scavenge, GC a quarter of all CPU).
import type { StreamRecord } from './stream-record.js'

const FIRST_BUCKETS = 8

export class StreamTable {
  size = 0
  private buckets: (StreamRecord | null)[] = new Array<StreamRecord | null>(FIRST_BUCKETS).fill(null)

  get(id: number): StreamRecord | undefined {
    // Ids of one side are every other number.
    let record = this.buckets[(id >>> 1) & (this.buckets.length - 1)]!
    while (record !== null && record.id !== id) record = record.nextInBucket!
    return record ?? undefined
  }

  add(record: StreamRecord): void {
    if (this.size >= this.buckets.length * 2) this.grow()
    this.link(record)
    this.size++
  }

  /** It is in the table. */
  delete(record: StreamRecord): void {
    const bucket = (record.id >>> 1) & (this.buckets.length - 1)
    const first = this.buckets[bucket]!
    if (first === record) this.buckets[bucket] = record.nextInBucket
    else {
      let before = first
      while (before.nextInBucket !== record) before = before.nextInBucket!
      before.nextInBucket = record.nextInBucket
    }
    record.nextInBucket = null
    this.size--
  }

  /** A copy: whoever walks over it may close streams. */
  all(): StreamRecord[] {
    const records: StreamRecord[] = []
    for (const first of this.buckets) for (let record = first; record !== null; record = record.nextInBucket) records.push(record)
    return records
  }

  private link(record: StreamRecord): void {
    const bucket = (record.id >>> 1) & (this.buckets.length - 1)
    record.nextInBucket = this.buckets[bucket]!
    this.buckets[bucket] = record
  }

  private grow(): void {
    const records = this.all()
    this.buckets = new Array<StreamRecord | null>(this.buckets.length * 4).fill(null)
    for (const record of records) this.link(record)
  }
}
