// Ejection and return of endpoints whose requests fail, by the clock.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EndpointHealth, OUTLIER_DEFAULTS, withoutEjected } from '../../src/core/outlier.js'

const fail = (health: EndpointHealth, count: number, nowMs: number) => {
  for (let at = 0; at < count; at++) health.failed(nowMs, 'usual')
}

describe('EndpointHealth', () => {
  it('five failures in a row eject, four do not, and a success begins anew', () => {
    const health = new EndpointHealth()
    fail(health, 4, 1000)
    assert.ok(health.available(1000))
    health.succeeded(1000, 'usual')
    fail(health, 4, 1000)
    assert.ok(health.available(1000))
    health.failed(1000, 'usual')
    assert.ok(!health.available(1000))
  })

  it('half of twenty in a window eject; of nineteen, or over two windows, not', () => {
    const alternate = (health: EndpointHealth, count: number, nowMs: number) => {
      for (let at = 0; at < count; at++) at % 2 === 0 ? health.succeeded(nowMs, 'usual') : health.failed(nowMs, 'usual')
    }
    const few = new EndpointHealth()
    alternate(few, 19, 1000)
    assert.ok(few.available(1000))
    alternate(few, 18, 11_001)
    assert.ok(few.available(11_001))
    const many = new EndpointHealth()
    alternate(many, 20, 1000)
    assert.ok(!many.available(1000))
  })

  it('after its time one trial is let in; its success is trust, its failure twice the time', () => {
    const health = new EndpointHealth()
    fail(health, 5, 1000)
    assert.deepEqual(
      [1000, 1499, 1500].map(ms => health.available(ms)),
      [false, false, true],
    )
    assert.equal(health.begun(1500), 'trial')
    assert.equal(health.begun(1501), 'usual')
    assert.ok(!health.available(1501), 'a second one waits for the trial')
    health.failed(1510, 'trial')
    assert.deepEqual(
      [2509, 2510].map(ms => health.available(ms)),
      [false, true],
    )
    health.begun(2510)
    health.succeeded(2520, 'trial')
    assert.ok(health.available(2520))
    fail(health, 5, 3000)
    assert.deepEqual(
      [4999, 5000].map(ms => health.available(ms)),
      [false, true],
      'it has not been good for long: four times',
    )
  })

  it('the time grows to its limit, and a good while forgets it', () => {
    const health = new EndpointHealth()
    let nowMs = 0
    fail(health, 5, nowMs)
    for (let round = 0; round < 12; round++) {
      while (!health.available(nowMs)) nowMs += 100
      health.begun(nowMs)
      health.failed(nowMs, 'trial')
    }
    assert.ok(!health.available(nowMs + OUTLIER_DEFAULTS.ejectMaxMs - 1) && health.available(nowMs + OUTLIER_DEFAULTS.ejectMaxMs))
    nowMs += OUTLIER_DEFAULTS.ejectMaxMs
    health.begun(nowMs)
    health.succeeded(nowMs, 'trial')
    nowMs += OUTLIER_DEFAULTS.forgetMs + 1
    fail(health, 5, nowMs)
    assert.ok(health.available(nowMs + OUTLIER_DEFAULTS.ejectMs))
  })

  it('answers to what was asked before the ejection change nothing', () => {
    const health = new EndpointHealth()
    fail(health, 5, 1000)
    health.succeeded(1100, 'usual')
    fail(health, 3, 1100)
    assert.deepEqual(
      [1499, 1500].map(ms => health.available(ms)),
      [false, true],
    )
  })

  it('answers to what was asked before the ejection neither end the trial nor make room for another', () => {
    const health = new EndpointHealth()
    fail(health, 5, 1000)
    health.begun(1500)
    health.abandoned('usual')
    assert.ok(!health.available(1501))
    health.succeeded(1502, 'usual')
    assert.ok(!health.available(1502))
    fail(health, 5, 1503)
    health.succeeded(1504, 'trial')
    assert.ok(health.available(1504))
  })

  it('a trial that ends without a verdict, or never, makes room for another', () => {
    const health = new EndpointHealth()
    fail(health, 5, 1000)
    health.begun(1500)
    health.abandoned('trial')
    assert.ok(health.available(1501))
    health.begun(1501)
    assert.deepEqual(
      [31_500, 31_501].map(ms => health.available(ms)),
      [false, true],
    )
  })

  it('a new start of the instance is trusted', () => {
    const health = new EndpointHealth()
    fail(health, 5, 1000)
    health.trust()
    assert.ok(health.available(1000))
    fail(health, 4, 1000)
    assert.ok(health.available(1000))
  })
})

describe('withoutEjected', () => {
  const endpoints = (ejected: string) =>
    ['a', 'b', 'c'].map(id => {
      const health = new EndpointHealth()
      if (ejected.includes(id)) fail(health, 5, 1000)
      return { id, health }
    })
  const left = (ejected: string, nowMs: number) =>
    withoutEjected(endpoints(ejected), nowMs)
      .map(({ id }) => id)
      .join('')
  it('leaves out the ejected; all of them are in where none would be left', () => {
    const whole = endpoints('')
    assert.equal(withoutEjected(whole, 1000), whole)
    assert.equal(left('b', 1000), 'ac')
    assert.equal(left('bc', 1000), 'a')
    assert.equal(left('abc', 1000), 'abc')
    assert.equal(left('b', 1500), 'abc')
  })
})
