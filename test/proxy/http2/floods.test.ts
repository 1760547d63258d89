// The counters behind the guards: each at its edge, the clock in the test's hand.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CancelMeter, EARNED_BY_DATA, NoiseMeter, ResetMeter } from '../../../src/proxy/http2/floods.js'

describe('resets per second', () => {
  /** Its allowance of this second is used up. */
  const spent = (maxPerSecond: number): ResetMeter => {
    const meter = new ResetMeter(maxPerSecond)
    for (let at = 0; at <= maxPerSecond; at++) meter.add(5000)
    return meter
  }

  it('up to the allowance nothing happens, one more and the connection waits until the second is over, in steps of 100 ms', () => {
    const meter = new ResetMeter(10)
    for (let at = 0; at < 10; at++) assert.equal(meter.add(5000), 0)
    assert.deepEqual([meter.add(5400), meter.add(5401), meter.add(5999)], [600, 600, 100])
    assert.equal(meter.add(6000), 0)
  })

  it('within the allowance each sixteenth is a breath for the others, and no breath makes a flood', () => {
    const meter = new ResetMeter(100)
    const pauses = Array.from({ length: 100 }, () => meter.add(5000))
    assert.deepEqual(
      pauses.flatMap((ms, at) => (ms === 0 ? [] : [[at + 1, ms]])),
      [16, 32, 48, 64, 80, 96].map(count => [count, 1]),
    )
    for (let breath = 0; breath < 10; breath++) assert.equal(meter.isFlood(60_000), false)
  })

  it('much that waits after three pauses in a row is a flood', () => {
    const meter = spent(10)
    assert.deepEqual(
      [1, 2, 3].map(() => meter.isFlood(8192)),
      [false, false, true],
    )
  })

  it('a burst that is worked off within two pauses is none, however often it comes', () => {
    const meter = spent(10)
    for (let burst = 0; burst < 20; burst++) {
      for (const waiting of [60_000, 20_000, 300]) assert.equal(meter.isFlood(waiting), false)
    }
  })

  it('sequential cancels at any speed leave little behind, and are no flood', () => {
    const meter = spent(500)
    for (let pause = 0; pause < 100; pause++) assert.equal(meter.isFlood(8191), false)
  })
})

it('our own cancels: 800 at once are taken by any service, 30 a second for ever', () => {
  const burst = new CancelMeter()
  for (let at = 0; at < 800; at++) assert.equal(burst.add(1000), false)
  assert.equal(burst.add(1000), true)
  const steady = new CancelMeter()
  for (let at = 0; at < 30_000; at++) assert.equal(steady.add((at * 1000) / 30), false)
})

describe('frames that carry nothing', () => {
  const isTooMuch = (meter: NoiseMeter, nowMs: number) => meter.add(1) && meter.isTooMuch(nowMs)

  for (const [perSecond, atOnce] of [
    [500, 2000],
    [10, 40],
  ] as const) {
    for (const begunMs of [0, 3_600_000]) {
      it(`${perSecond} a second are ${atOnce} at once, one more is too much, on a worker of ${begunMs / 1000} s`, () => {
        const meter = new NoiseMeter(perSecond)
        for (let at = 0; at < atOnce; at++) assert.equal(isTooMuch(meter, begunMs), false)
        assert.equal(isTooMuch(meter, begunMs), true)
      })
    }
  }

  it('500 per second are let pass for ever', () => {
    const meter = new NoiseMeter(500)
    for (let second = 1; second < 200; second++) {
      for (let at = 0; at < 500; at++) assert.equal(isTooMuch(meter, second * 1000), false)
    }
  })

  it('1,000 per second are not', () => {
    const meter = new NoiseMeter(500)
    let second = 1
    while (second < 20 && Array.from({ length: 1000 }, () => isTooMuch(meter, second * 1000)).every(is => !is)) second++
    assert.ok(second >= 3 && second <= 8, `for ${second} s`)
  })

  it('two per DATA frame of ours are earned by it', () => {
    const meter = new NoiseMeter(500)
    for (let at = 0; at < 100_000; at++) {
      meter.earn(EARNED_BY_DATA)
      assert.equal(isTooMuch(meter, 0) || isTooMuch(meter, 0), false)
    }
  })
})
