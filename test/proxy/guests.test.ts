// A worker's count of connections: its share, its clients, and what the operator reads of refusals.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Guest, Guests, shareOf } from '../../src/proxy/guests.js'

function house(max: number, maxPerClient = 0): { guests: Guests; told: string[] } {
  const told: string[] = []
  return { guests: new Guests({ max, maxPerClient, warn: message => told.push(message) }), told }
}

const admitted = (guests: Guests, addresses: (string | null)[]): Guest[] =>
  addresses.map(address => guests.admit(address)).filter(guest => guest !== null)

describe('the share of a worker', () => {
  for (const [total, workers, shares] of [
    [10, 1, [10]],
    [10, 3, [4, 3, 3]],
    [11, 3, [4, 4, 3]],
    [3, 3, [1, 1, 1]],
    [1, 3, [1, 1, 1]],
  ] as const) {
    it(`${total} over ${workers}: ${shares.join(' + ')}`, () => {
      assert.deepEqual(
        shares.map((_, slot) => shareOf(total, workers, slot)),
        shares,
      )
    })
  }
})

describe('connections of a worker', () => {
  it('as many as the limit are admitted, one more is not, and there is room when one has left', () => {
    const { guests } = house(2)
    const [first] = admitted(guests, ['a', null])
    assert.equal(guests.admit('b'), null)
    first!.leave()
    first!.leave()
    assert.equal(admitted(guests, ['c', 'd']).length, 1, 'who leaves twice has left once')
  })

  it('a client has as many as the limit, and what is refused does not count', () => {
    const { guests } = house(10, 2)
    assert.equal(admitted(guests, ['a', 'a', 'a', 'a', 'b', 'b', 'b']).length, 4)
    assert.equal(
      admitted(
        guests,
        Array.from({ length: 20 }, (_, at) => `c${at}`),
      ).length,
      6,
    )
  })

  it('a client is named later: nothing is left of the count for the address that it had before', () => {
    const { guests } = house(10, 1)
    const [guest] = admitted(guests, ['balancer'])
    assert.equal(guest!.named('client'), true)
    assert.equal(guest!.named('client'), true, 'once more is the same')
    assert.equal(guests.admit('client'), null)
    const [next] = admitted(guests, ['balancer'])
    assert.equal(next!.named('client'), false)
    next!.leave()
    guest!.leave()
    assert.equal(admitted(guests, ['client', 'balancer']).length, 2)
  })

  it('a client that is not known yet counts for nobody', () => {
    const { guests } = house(10, 1)
    const unknown = admitted(guests, [null, null, null])
    assert.deepEqual(
      unknown.map(guest => guest.named('a')),
      [true, false, false],
    )
    for (const guest of unknown) guest.leave()
    assert.equal(admitted(guests, ['a']).length, 1)
  })

  it('refusals are told once for each limit, not one by one', () => {
    const { guests, told } = house(2, 1)
    admitted(guests, ['a', 'a', 'a', 'b', 'c', 'c'])
    assert.deepEqual(told, [
      'a connection was refused: a has 1 already (proxy.max_connections_per_client)',
      "a connection was refused: there are 2 already, this worker's share (proxy.max_connections)",
    ])
  })
})
