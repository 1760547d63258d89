// When a probe result makes an instance ready or unready, and how soon the next look comes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { observe, type ProbeResult, probeDelayMs, READY, type Readiness, UNREADY, unreadyReason } from '../../src/core/readiness.js'

const failed: ProbeResult = { fail: 'refused' }

for (const [from, result, to, reason] of [
  [UNREADY, 'pass', READY, ''],
  [UNREADY, 'SERVING', READY, ''],
  [{ ready: true, failures: 2 }, 'SERVING', READY, ''],
  [READY, failed, { ready: true, failures: 1 }, 'refused'],
  [{ ready: true, failures: 1 }, failed, { ready: true, failures: 2 }, 'refused'],
  [{ ready: true, failures: 2 }, failed, { ready: false, failures: 3 }, 'refused'],
  [{ ready: false, failures: 3 }, failed, { ready: false, failures: 4 }, 'refused'],
  [READY, 'NOT_SERVING', { ready: false, failures: 1 }, 'grpc health: NOT_SERVING'],
  [READY, 'SERVICE_UNKNOWN', { ready: false, failures: 1 }, 'grpc health: SERVICE_UNKNOWN'],
  [READY, 'UNKNOWN', { ready: false, failures: 1 }, 'grpc health: UNKNOWN'],
] as [Readiness, ProbeResult, Readiness, string][]) {
  test(`of 3 failures: ${JSON.stringify(from)}, ${JSON.stringify(result)}`, () => {
    assert.deepEqual(observe(from, result, 3), to)
    assert.equal(unreadyReason(result), reason)
  })
}

test('looks come quickly until the first success, then at the interval', () => {
  assert.deepEqual(
    [0, 1, 2, 10, 1000].map(attempts => probeDelayMs(UNREADY, attempts, 1_000)),
    [50, 75, 113, 1_000, 1_000],
  )
  assert.equal(probeDelayMs(READY, 0, 1_000), 1_000)
})
