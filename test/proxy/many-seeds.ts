// The loop of the differential tests: seed after seed, enough that both readers take, and no growth of the heap.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Chance } from './http1/reading.js'

export interface ManySeeds {
  runs: number
  /** Where the seeds begin. */
  seed: number
  /** What is compared, in the plural. */
  what: string
}

/** compare: builds its bytes with this chance, and returns how much both readers have read. */
export async function manySeeds({ runs, seed, what }: ManySeeds, compare: (chance: Chance) => Promise<number>): Promise<void> {
  let compared = 0
  let run = 0
  let heapBefore = 0
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 - 1 }), async each => {
      if (++run === runs >> 2) heapBefore = process.memoryUsage().heapUsed
      compared += await compare(new Chance(each))
    }),
    { numRuns: runs, seed, includeErrorInReport: true },
  )
  assert.ok(compared > runs / 3, `only ${compared} ${what} were read by both: the mutations are too wild to say anything`)
  const grown = process.memoryUsage().heapUsed - heapBefore
  assert.ok(grown < 64 << 20, `the heap has grown by ${grown} bytes`)
}
