// The waiting room: woken once, by whichever comes first, and forgotten when taken back.
import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { Hold, MAX_HELD } from '../../src/proxy/hold.js'

describe('Hold', () => {
  it('a table wakes everybody once, the limit wakes nobody after it', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const hold = new Hold()
    const woken: string[] = []
    hold.wait('a', 100, why => woken.push(`a ${why}`))
    hold.wait('b', 100, why => woken.push(`b ${why}`))
    hold.wakeAll()
    mock.timers.tick(200)
    assert.deepEqual(woken, ['a changed', 'b changed'])
    assert.equal(hold.size, 0)
    mock.timers.reset()
  })

  it('the limit wakes at its millisecond, not before', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const hold = new Hold()
    const woken: string[] = []
    hold.wait('a', 100, why => woken.push(why))
    mock.timers.tick(99)
    assert.deepEqual(woken, [])
    mock.timers.tick(1)
    hold.wakeAll()
    assert.deepEqual(woken, ['timeout'])
    mock.timers.reset()
  })

  it('a request that was taken back is not woken, and its place is free', () => {
    const hold = new Hold()
    const back = Array.from({ length: MAX_HELD }, () => hold.wait('a', 60_000, () => assert.fail('woken')))
    assert.equal(
      hold.wait('a', 60_000, () => {}),
      null,
    )
    const other = hold.wait('b', 60_000, () => {})
    assert.notEqual(other, null)
    back.pop()!()
    const again = hold.wait('a', 60_000, () => {})
    assert.notEqual(again, null)
    for (const leave of [...back, other, again]) leave!()
    hold.wakeAll()
    assert.equal(hold.size, 0)
  })

  it('one that waits again while it is woken waits for the next table', () => {
    const hold = new Hold()
    let woken = 0
    const again = () => {
      woken++
      if (woken < 3) hold.wait('a', 60_000, again)
    }
    hold.wait('a', 60_000, again)
    hold.wakeAll()
    assert.equal(woken, 1)
    hold.wakeAll()
    hold.wakeAll()
    assert.deepEqual([woken, hold.size], [3, 0])
  })
})
