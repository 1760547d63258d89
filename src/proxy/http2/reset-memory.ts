// Which streams we reset ourselves: their late frames are nobody's fault, those of any other closed stream are (RFC 9113 5.1).

const MAX_REMEMBERED = 1024

export class ResetMemory {
  private readonly ids = new Set<number>()
  /** The highest id that was dropped to make room: nothing can be said of it and those below. */
  private forgotten = 0

  add(id: number): void {
    this.ids.add(id)
    if (this.ids.size <= MAX_REMEMBERED) return
    const oldest = this.ids.values().next().value!
    this.ids.delete(oldest)
    if (oldest > this.forgotten) this.forgotten = oldest
  }

  /** May a frame for this closed stream be on its way without any fault? */
  excuses(id: number): boolean {
    return id <= this.forgotten || this.ids.has(id)
  }
}
