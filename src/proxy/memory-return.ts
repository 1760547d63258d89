// Gives memory back after a burst: V8 lets up to 64 MiB of dead buffers lie until something is allocated, and nothing is when the burst is over.
// A collection takes some 35 ms: it comes once there is something to gain and little to do.  After attacks 80-93 MiB stayed resident for 10 s and more, with
// it and malloc's holes given back 58-67 within 5 s (hostile/beside.test.ts).
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { trimMemory } from './sockets.js'

const LOOK_MS = 3000
/** Growth that is worth a collection. */
const GROWTH_BYTES = 4 << 20
/** Of the time between two looks: a worker that has more to do collects when V8 says so. */
const CALM = 0.05

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** With what V8 does of its own accord where memory is short: pages are compacted and given back, not kept for the next burst. */
export function collect(): void {
  setFlagsFromString('--compact-on-every-full-gc')
  setFlagsFromString('--optimize-for-size')
  collectGarbage()
  setFlagsFromString('--no-optimize-for-size')
  setFlagsFromString('--no-compact-on-every-full-gc')
  trimMemory()
}

export class MemoryReturn {
  /** What was left by the last collection, or less. */
  private floorBytes = committedBytes()
  private load = performance.eventLoopUtilization()
  private timer: NodeJS.Timeout | null = null
  private readonly isBusy: () => boolean

  /** isBusy: may there soon be more to give back? */
  constructor(isBusy: () => boolean) {
    this.isBusy = isBusy
  }

  /** Something begins that may leave memory behind. */
  watch(): void {
    this.timer ??= setTimeout(() => this.look(), LOOK_MS).unref()
  }

  private look(): void {
    this.timer = null
    const before = this.load
    this.load = performance.eventLoopUtilization()
    const hasGrown = committedBytes() > this.floorBytes + GROWTH_BYTES
    const isCalm = performance.eventLoopUtilization(this.load, before).utilization < CALM
    if (hasGrown && isCalm) {
      collect()
      this.floorBytes = committedBytes()
    } else this.floorBytes = Math.min(this.floorBytes, committedBytes())
    if (this.isBusy() || (hasGrown && !isCalm)) this.watch()
  }
}

function committedBytes(): number {
  const { total_heap_size, external_memory } = getHeapStatistics()
  return total_heap_size + external_memory
}
