// The counters behind the guards: each at its edge, the clock in the test's hand.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EARNED_BY_DATA, NoiseMeter, ResetMeter } from '../../../src/proxy/http2/floods.js'

describe('resets per second', () => {
  it('up to the allowance are fine, one more slows the connection down until the second is over', () => {
    const meter = new ResetMeter(10)
    for (let at = 0; at < 10; at++) assert.equal(meter.add(5000), 'fine')
    assert.deepEqual([meter.add(5400), meter.pauseMs(5400)], ['slow', 600])
    assert.equal(meter.add(6000), 'fine')
  })

  it('far above it in one second stop the connection', () => {
    const meter = new ResetMeter(10)
    const verdicts = Array.from({ length: 60 }, () => meter.add(100))
    assert.deepEqual([verdicts.indexOf('slow'), verdicts.indexOf('stop')], [10, 50])
  })

  it('a burst beyond the allowance in every second runs up a debt that stops the connection', () => {
    const meter = new ResetMeter(10)
    const seconds: string[] = []
    for (let second = 0; second < 6; second++) for (let at = 0; at < 20; at++) seconds[second] = meter.add(second * 1000)
    assert.deepEqual(seconds, ['slow', 'slow', 'slow', 'slow', 'stop', 'stop'])
  })

  it('a quiet second pays a debt off', () => {
    const meter = new ResetMeter(10)
    for (let second = 0; second < 100; second += 2) for (let at = 0; at < 20; at++) assert.notEqual(meter.add(second * 1000), 'stop')
  })

  it('4,000 sequential ones that overshoot by one per second never stop it', () => {
    const meter = new ResetMeter(500)
    let nowMs = 0
    for (let at = 0; at < 4000; at++) {
      const verdict = meter.add(nowMs)
      assert.notEqual(verdict, 'stop')
      if (verdict === 'slow') nowMs += meter.pauseMs(nowMs)
    }
  })
})

describe('frames that carry nothing', () => {
  it('2,000 at once are let pass, one more is too much', () => {
    const meter = new NoiseMeter()
    for (let at = 0; at < 2000; at++) assert.equal(meter.add(1), false)
    assert.deepEqual([meter.add(1), meter.isTooMuch(0)], [true, true])
  })

  it('500 per second are let pass for ever', () => {
    const meter = new NoiseMeter()
    for (let second = 1; second < 200; second++) {
      for (let at = 0; at < 500; at++) assert.equal(meter.add(1) && meter.isTooMuch(second * 1000), false)
    }
  })

  it('two per DATA frame of ours are earned by it', () => {
    const meter = new NoiseMeter()
    for (let at = 0; at < 100_000; at++) {
      meter.earn(EARNED_BY_DATA)
      assert.equal((meter.add(1) || meter.add(1)) && meter.isTooMuch(0), false)
    }
  })
})
