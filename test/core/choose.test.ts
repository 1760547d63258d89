// Who gets the next request: by weight in turn, by load, by hash.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chooseByHash, chooseLeastRequests, cookieValue, hashKeyValue, WeightedTurns } from '../../src/core/choose.js'

const endpoints = (...weights: number[]) => weights.map((weight, index) => ({ id: 'abcdefghij'[index]!, weight }))

/** Seeded, so that a failure is the same every time. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe('WeightedTurns', () => {
  for (const [weights, expected] of [
    [[1, 1, 1], 'abcabcabc'],
    [[3, 1], 'aabaaaba'],
    [[5, 1, 1], 'aabacaa'],
    [[2, 4], 'babbab'],
    [[7], 'aaa'],
    [[], '---'],
  ] as const) {
    it(`${weights.join(':') || 'nobody'} gives ${expected}`, () => {
      const turns = new WeightedTurns()
      const got = [...expected].map(() => turns.choose(endpoints(...weights))?.id ?? '-').join('')
      assert.equal(got, expected)
    })
  }
  it('shares hold over an endpoint that leaves and comes back', () => {
    const turns = new WeightedTurns()
    const all = endpoints(1, 1, 1)
    const count = (list: typeof all, rounds: number) => {
      const counts: Record<string, number> = {}
      for (let at = 0; at < rounds; at++) {
        const { id } = turns.choose(list)!
        counts[id] = (counts[id] ?? 0) + 1
      }
      return counts
    }
    assert.deepEqual(count(all, 30), { a: 10, b: 10, c: 10 })
    assert.deepEqual(count(all.slice(1), 30), { b: 15, c: 15 })
    turns.keepOnly(new Set(['b', 'c']))
    assert.deepEqual(count(all, 300), { a: 100, b: 100, c: 100 })
  })
})

describe('chooseLeastRequests', () => {
  it('takes the less busy of the two it looks at, whoever comes first', () => {
    for (const random of [0, 0.2, 0.499, 0.5, 0.999]) {
      assert.equal(chooseLeastRequests(endpoints(1, 1), ({ id }) => (id === 'a' ? 3 : 2), random)?.id, 'b')
    }
  })
  it('one is enough, nobody is null', () => {
    assert.equal(chooseLeastRequests(endpoints(1), () => 9, 0.7)?.id, 'a')
    assert.equal(
      chooseLeastRequests(endpoints(), () => 0, 0.7),
      null,
    )
  })
  it('weights count as so many places', () => {
    const load = { a: 5, b: 1 } as Record<string, number>
    assert.equal(chooseLeastRequests(endpoints(4, 1), ({ id }) => load[id]!, 0)?.id, 'a')
    assert.equal(chooseLeastRequests(endpoints(2, 1), ({ id }) => load[id]!, 0)?.id, 'b')
  })
  it('every pair is looked at equally often, never one twice', () => {
    const random = dice(7)
    const pairs = new Map<string, number>()
    for (let at = 0; at < 60_000; at++) {
      const seen = new Set<string>()
      chooseLeastRequests(
        endpoints(1, 1, 1, 1),
        ({ id }) => {
          seen.add(id)
          return 0
        },
        random(),
      )
      const pair = [...seen].sort().join('')
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
    }
    assert.deepEqual([...pairs.keys()].sort(), ['ab', 'ac', 'ad', 'bc', 'bd', 'cd'])
    for (const [pair, count] of pairs) assert.ok(Math.abs(count - 10_000) < 600, `${pair}: ${count}`)
  })
  it('a slow endpoint among three gets little: requests end at its pace', () => {
    const random = dice(11)
    const load = { a: 0, b: 0, c: 0 } as Record<string, number>
    const got = { a: 0, b: 0, c: 0 } as Record<string, number>
    for (let at = 0; at < 3000; at++) {
      const { id } = chooseLeastRequests(endpoints(1, 1, 1), each => load[each.id]!, random())!
      load[id]!++
      got[id]!++
      for (const fast of ['a', 'b']) load[fast] = Math.max(0, load[fast]! - 1)
      if (at % 10 === 0) load.c = Math.max(0, load.c! - 1)
    }
    assert.ok(got.c! < 3000 * 0.15 && got.c! > 200, JSON.stringify(got))
  })
})

describe('chooseByHash', () => {
  const keys = Array.from({ length: 6000 }, (_, index) => `user-${index}`)
  const of = (list: { id: string; weight: number }[]) => new Map(keys.map(key => [key, chooseByHash(list, key)!.id]))
  const share = (map: Map<string, string>, id: string) => [...map.values()].filter(each => each === id).length / keys.length

  it('keys spread evenly, and by weight', () => {
    const even = of(endpoints(1, 1, 1, 1))
    for (const id of 'abcd') assert.ok(Math.abs(share(even, id) - 0.25) < 0.03, `${id} ${share(even, id)}`)
    const uneven = of(endpoints(3, 1))
    assert.ok(Math.abs(share(uneven, 'a') - 0.75) < 0.03, String(share(uneven, 'a')))
  })
  it('ids that differ in their last digit spread too', () => {
    const list = Array.from({ length: 10 }, (_, index) => ({ id: `web:web_0${index}`, weight: 1 }))
    const map = of(list)
    for (const { id } of list) assert.ok(Math.abs(share(map, id) - 0.1) < 0.02, `${id} ${share(map, id)}`)
  })
  it('when one leaves only its keys move, and they come back with it', () => {
    const all = endpoints(1, 2, 1, 1)
    const before = of(all)
    const without = of(all.filter(({ id }) => id !== 'b'))
    for (const key of keys) if (before.get(key) !== 'b') assert.equal(without.get(key), before.get(key))
    assert.ok(![...without.values()].includes('b'))
    assert.deepEqual(of(all.toReversed()), before)
  })
  it('nobody is null', () => assert.equal(chooseByHash([], 'k'), null))
})

describe('hashKeyValue', () => {
  const request = { fields: ['x-user', 'u', 'cookie', 'a=1; sid=s=2', 'cookie', 'b=3'], client: '1.2.3.4' }
  it('header, cookie and address; null where there is none', () => {
    assert.equal(hashKeyValue({ from: 'header', name: 'x-user' }, request), 'u')
    assert.equal(hashKeyValue({ from: 'header', name: 'x-other' }, request), null)
    assert.equal(hashKeyValue({ from: 'cookie', name: 'sid' }, request), 's=2')
    assert.equal(hashKeyValue({ from: 'cookie', name: 'b' }, request), '3')
    assert.equal(hashKeyValue({ from: 'client_ip' }, request), '1.2.3.4')
  })
  it('a cookie’s name is the whole name', () => assert.equal(cookieValue(['cookie', 'xsid=1; sid'], 'sid'), null))
})
