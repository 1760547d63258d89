// A token bucket per client: what is let through, how long the rest waits, and how many clients are remembered.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RateLimiter, takeToken } from '../../src/core/rate-limit.js'

describe('takeToken', () => {
  it('a burst goes at once, then one per interval, and the wait is exact', () => {
    const limit = { requests: 10, perMs: 1000, burst: 3 }
    let state = 0
    const take = (nowMs: number) => {
      const { fullAtMs, waitMs } = takeToken(state, limit, nowMs)
      state = fullAtMs
      return Math.round(waitMs)
    }
    assert.deepEqual([1000, 1000, 1000, 1000, 1040, 1099].map(take), [0, 0, 0, 100, 60, 1])
    assert.deepEqual([1100, 1100, 1200].map(take), [0, 100, 0])
    assert.deepEqual([9000, 9000, 9000, 9000].map(take), [0, 0, 0, 100], 'a pause fills the bucket, not more')
  })
  for (const limit of [
    { requests: 7, perMs: 1000, burst: 7 },
    { requests: 3, perMs: 10_000, burst: 1 },
    { requests: 1000, perMs: 60_000, burst: 50 },
  ]) {
    it(`${limit.requests} per ${limit.perMs} ms with ${limit.burst} at once: never more over any time`, () => {
      let state = 0
      let passed = 0
      const lastMs = 600_000
      for (let nowMs = 1; nowMs <= lastMs; nowMs += 7) {
        const { fullAtMs, waitMs } = takeToken(state, limit, nowMs)
        state = fullAtMs
        if (waitMs === 0) passed++
      }
      const fair = (lastMs / limit.perMs) * limit.requests
      assert.ok(passed <= fair + limit.burst + 1 && passed >= Math.min(fair * 0.9, lastMs / 7.1), `${passed} of ${fair}`)
    })
  }
})

describe('RateLimiter', () => {
  it('clients do not share', () => {
    const limiter = new RateLimiter({ requests: 1, perMs: 1000, burst: 1 })
    assert.deepEqual([limiter.take('a', 1), limiter.take('b', 1), limiter.take('a', 501)], [0, 0, 500])
  })
  it('beyond its bound it forgets who asked longest ago, and nobody else', () => {
    const limiter = new RateLimiter({ requests: 1, perMs: 1000, burst: 1 }, 3)
    for (const key of ['a', 'b', 'c', 'd']) limiter.take(key, 1)
    assert.equal(limiter.clients, 3)
    assert.equal(limiter.take('d', 2) > 0 && limiter.take('b', 2) > 0, true)
    assert.equal(limiter.take('a', 2), 0)
    for (let at = 0; at < 10_000; at++) limiter.take(`x${at}`, 3)
    assert.equal(limiter.clients, 3)
  })
  it('who is refused is not moved up, who is admitted is', () => {
    const limiter = new RateLimiter({ requests: 1, perMs: 1000, burst: 1 }, 2)
    for (const [key, nowMs] of [
      ['a', 1],
      ['b', 2],
      ['b', 3],
      ['a', 1500],
      ['a', 1600],
      ['c', 1700],
    ] as const)
      limiter.take(key, nowMs)
    assert.deepEqual([limiter.take('a', 1700) > 0, limiter.take('c', 1700) > 0, limiter.take('b', 1700)], [true, true, 0])
  })
})
