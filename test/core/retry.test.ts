// Which failed attempts are made again: every combination.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { mayRepeat } from '../../src/core/retry.js'

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'POST', 'PATCH', 'CONNECT', 'other']

it('only what surely was not worked on is sent again, and only what left before is counted', () => {
  for (const again of ['unsent', 'refused', 'idempotent', 'no'] as const) {
    for (const replayable of [true, false]) {
      for (const repeats of [0, 1, 9]) {
        for (const method of METHODS) {
          const idempotent = METHODS.indexOf(method) < 6
          const expected =
            replayable && (again === 'unsent' || (repeats === 0 && (again === 'refused' || (again === 'idempotent' && idempotent))))
          assert.equal(mayRepeat({ again, method, replayable, repeats }), expected, `${again} ${method} ${replayable} ${repeats}`)
        }
      }
    }
  }
})
