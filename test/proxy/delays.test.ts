// Time limits by the thousand: they pass in time, a touch puts them off, a stop takes them back, and none is lost or told twice.
import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { Delay } from '../../src/proxy/delays.js'

/** Runs with Node's timers and its clock faked; `advance` moves both, `work` the clock alone: what runs takes so long. */
function withClock(run: (advance: (ms: number) => void, work: (ms: number) => void) => void): void {
  let nowMs = 1000
  mock.timers.enable({ apis: ['setTimeout'] })
  const clock = mock.method(performance, 'now', () => nowMs)
  try {
    run(
      ms => {
        for (let step = 0; step < ms; step++) {
          nowMs++
          mock.timers.tick(1)
        }
      },
      ms => {
        nowMs += ms
      },
    )
  } finally {
    clock.mock.restore()
    mock.timers.reset()
  }
}

// A duration of its own per test: queues live as long as the process.
let limitMs = 100
const fresh = () => ++limitMs

describe('delays', () => {
  it('one passes at its limit, not a millisecond before, and once', () => {
    withClock(advance => {
      const ms = fresh()
      let passed = 0
      const delay = new Delay({ expired: () => passed++ })
      delay.start(ms)
      advance(ms - 1)
      assert.equal(passed, 0)
      advance(1)
      assert.deepEqual([passed, delay.isArmed], [1, false])
      advance(ms * 3)
      assert.equal(passed, 1)
    })
  })

  it('a touch counts from then on; a stop ends it', () => {
    withClock(advance => {
      const ms = fresh()
      const passed: string[] = []
      const touched = new Delay({ expired: () => passed.push('touched') })
      const stopped = new Delay({ expired: () => passed.push('stopped') })
      touched.start(ms)
      stopped.start(ms)
      advance(60)
      touched.touch()
      stopped.stop()
      advance(ms - 1)
      assert.deepEqual(passed, [])
      advance(1)
      assert.deepEqual(passed, ['touched'])
    })
  })

  it('what is started while others pass is not put off by them', () => {
    withClock(advance => {
      const ms = fresh()
      const passed: string[] = []
      const later = new Delay({ expired: () => passed.push('later') })
      const first = new Delay({
        expired: () => {
          passed.push('first')
          again.start(ms)
        },
      })
      const again = new Delay({ expired: () => passed.push('again') })
      first.start(ms)
      advance(10)
      later.start(ms)
      advance(ms - 10)
      assert.deepEqual(passed, ['first'])
      advance(10)
      assert.deepEqual(passed, ['first', 'later'])
      advance(ms - 10)
      assert.deepEqual(passed, ['first', 'later', 'again'])
    })
  })

  it('what passes together passes in parts of a few milliseconds, each but once', () => {
    withClock((advance, work) => {
      const ms = fresh()
      const passed: number[] = []
      for (let at = 0; at < 10; at++) {
        const expired = () => {
          passed.push(at)
          work(1)
        }
        new Delay({ expired }).start(ms)
      }
      advance(ms)
      assert.deepEqual(passed, [0, 1, 2])
      advance(1)
      assert.deepEqual(passed, [0, 1, 2, 3, 4, 5])
      advance(2)
      assert.deepEqual(passed, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      advance(ms * 2)
      assert.equal(passed.length, 10)
    })
  })

  it('a thousand of one duration, touched, stopped and started at random, each pass exactly when they must', () => {
    withClock(advance => {
      const ms = fresh()
      let seed = 42
      const random = (below: number) => {
        seed = (seed * 1103515245 + 12345) % 2147483648
        return seed % below
      }
      let clockMs = 0
      const dueMs = new Map<number, number>()
      const late: string[] = []
      const delays = Array.from({ length: 1000 }, (_, index) => {
        const expired = () => {
          if (dueMs.get(index) !== clockMs) late.push(`${index}: at ${clockMs}, due at ${dueMs.get(index)}`)
          dueMs.delete(index)
        }
        return new Delay({ expired })
      })
      for (let round = 0; round < 400; round++) {
        const index = random(1000)
        const delay = delays[index]!
        const action = random(3)
        if (action === 0) delay.start(ms)
        if (action === 1) delay.touch()
        if (action === 2) delay.stop()
        if (delay.isArmed) dueMs.set(index, clockMs + ms)
        else dueMs.delete(index)
        clockMs++
        advance(1)
      }
      for (let step = 0; step < ms; step++) {
        clockMs++
        advance(1)
      }
      assert.deepEqual([late, dueMs.size], [[], 0])
    })
  })
})
