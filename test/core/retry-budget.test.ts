// Retries are a share of the requests of the last ten seconds, and a few in any case.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RetryBudget } from '../../src/core/retry-budget.js'

const began = (budget: RetryBudget, count: number, nowMs: number) => {
  for (let at = 0; at < count; at++) budget.began(nowMs)
}
/** How many retries are granted of `count` asked for. */
const granted = (budget: RetryBudget, count: number, nowMs: number) => {
  let yes = 0
  for (let at = 0; at < count; at++) if (budget.take(nowMs)) yes++
  return yes
}

describe('RetryBudget', () => {
  it('a quiet upstream gets ten a second', () => {
    const budget = new RetryBudget()
    assert.equal(granted(budget, 50, 1000), 10)
    assert.equal(granted(budget, 50, 1999), 0)
    assert.equal(granted(budget, 50, 2000), 10)
  })
  it('a busy one gets a fifth of its requests', () => {
    const budget = new RetryBudget()
    began(budget, 1000, 5000)
    assert.equal(granted(budget, 1000, 5000), 200)
  })
  it('requests count for ten seconds, then no longer', () => {
    const budget = new RetryBudget()
    began(budget, 1000, 5000)
    assert.equal(granted(budget, 1000, 14_999), 200)
    assert.equal(granted(budget, 1000, 15_000), 10)
    assert.equal(granted(budget, 1000, 100_000), 10)
  })
  it('a storm in which every request fails at most makes a fifth more of it', () => {
    const budget = new RetryBudget()
    let retries = 0
    for (let nowMs = 0; nowMs < 60_000; nowMs += 2) {
      budget.began(nowMs)
      if (budget.take(nowMs)) retries++
    }
    assert.ok(retries <= 30_000 * 0.2 + 100 && retries > 30_000 * 0.19, String(retries))
  })
})
