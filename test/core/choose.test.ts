// Who gets the next request: by weight in turn, by load, by hash.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AnswerTime } from '../../src/core/answer-time.js'
import { chooseByHash, chooseLeastRequests, cookieValue, hashKeyValue, WeightedTurns } from '../../src/core/choose.js'

const endpoints = (...weights: number[]) => weights.map((weight, index) => ({ id: 'abcdefghij'[index]!, weight }))

/** The same, their answers timed: by what is known of them at 0 ms, if anything. */
const timed = (weights: number[], ...tookMs: number[]) =>
  endpoints(...weights).map((endpoint, at) => {
    const answerTime = new AnswerTime()
    if (tookMs[at] !== undefined) answerTime.observed(tookMs[at], 0)
    return { ...endpoint, answerTime }
  })
const at = (random: number, nowMs = 0) => ({ random, nowMs })

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
      assert.equal(chooseLeastRequests(timed([1, 1]), ({ id }) => (id === 'a' ? 3 : 2), at(random))?.id, 'b')
    }
  })
  it('one is enough, nobody is null', () => {
    assert.equal(chooseLeastRequests(timed([1]), () => 9, at(0.7))?.id, 'a')
    assert.equal(
      chooseLeastRequests(timed([]), () => 0, at(0.7)),
      null,
    )
  })
  it('weights count as so many places', () => {
    const load = { a: 5, b: 1 } as Record<string, number>
    assert.equal(chooseLeastRequests(timed([4, 1]), ({ id }) => load[id]!, at(0))?.id, 'a')
    assert.equal(chooseLeastRequests(timed([2, 1]), ({ id }) => load[id]!, at(0))?.id, 'b')
  })
  it('every pair is looked at equally often, never one twice', () => {
    const random = dice(7)
    const pairs = new Map<string, number>()
    for (let count = 0; count < 60_000; count++) {
      const seen = new Set<string>()
      chooseLeastRequests(
        timed([1, 1, 1, 1]),
        ({ id }) => {
          seen.add(id)
          return 0
        },
        at(random()),
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
    for (let turn = 0; turn < 3000; turn++) {
      const { id } = chooseLeastRequests(timed([1, 1, 1]), each => load[each.id]!, at(random()))!
      load[id]!++
      got[id]!++
      for (const fast of ['a', 'b']) load[fast] = Math.max(0, load[fast]! - 1)
      if (turn % 10 === 0) load.c = Math.max(0, load.c! - 1)
    }
    assert.ok(got.c! < 3000 * 0.15 && got.c! > 200, JSON.stringify(got))
  })
  it('a request at one that is clearly slower counts as so many more; twice is not reached by 1.9', () => {
    for (const [tookMs, loadOfB, wanted] of [
      [[19, 199], 8, 'a'],
      [[199, 19], 8, 'b'],
      [[199, 19], 10, 'a'],
      [[19, 36], 1, 'a'],
      [[36, 19], 1, 'a'],
      [[0, 1], 0, 'a'],
      [[], 1, 'a'],
      [[199], 1, 'a'],
    ] as [number[], number, string][]) {
      for (const random of [0, 0.6]) {
        const list = timed([1, 1], ...tookMs)
        assert.equal(chooseLeastRequests(list, ({ id }) => (id === 'b' ? loadOfB : 0), at(random))?.id, wanted, `${tookMs}: ${loadOfB}`)
      }
    }
  })
  it('one that is avoided is asked once in five seconds all the same, by one request', () => {
    const list = timed([1, 1], 19, 199)
    const ask = (nowMs: number) => chooseLeastRequests(list, () => 0, at(0, nowMs))!.id
    assert.deepEqual([4999, 5000, 5001, 9999, 10_000, 10_001].map(ask).join(''), 'abaaba')
  })
})

/** Callers, so many at once without a pause, at endpoints that take so long; the time is made.  Returns the shares and the answers' times. */
function simulate(options: { tookMs: ((random: number, nowMs: number) => number)[]; callers: number; requests: number; warmUp: number }) {
  const random = dice(17)
  const list = timed(options.tookMs.map(() => 1))
  const load = list.map(() => 0)
  const under: { endMs: number; begunMs: number; at: number }[] = []
  const counts = list.map(() => 0)
  const tooksMs: number[] = []
  let nowMs = 1
  let firstMs = 0
  for (let done = 0; done < options.requests + options.warmUp; ) {
    while (under.length < options.callers) {
      const choice = list.indexOf(chooseLeastRequests(list, each => load[list.indexOf(each)]!, at(random(), nowMs))!)
      load[choice]!++
      under.push({ endMs: nowMs + options.tookMs[choice]!(random(), nowMs), begunMs: nowMs, at: choice })
    }
    const next = under.reduce((first, each) => (each.endMs < first.endMs ? each : first))
    under.splice(under.indexOf(next), 1)
    nowMs = next.endMs
    load[next.at]!--
    list[next.at]!.answerTime.observed(next.endMs - next.begunMs, nowMs)
    if (++done <= options.warmUp) firstMs = nowMs
    else {
      counts[next.at]!++
      tooksMs.push(next.endMs - next.begunMs)
    }
  }
  tooksMs.sort((x, y) => x - y)
  return {
    shares: counts.map(count => count / options.requests),
    p99: tooksMs[Math.floor(tooksMs.length * 0.99)]!,
    perSecond: (options.requests * 1000) / (nowMs - firstMs),
  }
}

describe('least requests over time', () => {
  const about = (ms: number) => (random: number) => ms * (0.9 + 0.2 * random)
  /** Most are fast, a few take very long. */
  const skewed = (ms: number) => (random: number) => -Math.log(1 - random * 0.9999) * ms
  const sizes = { requests: 20_000, warmUp: 3000 }

  for (const callers of [3, 12, 60]) {
    it(`${callers} callers, one endpoint of three ten times slower: p99 and throughput as if it were fast (proxy.md 12)`, () => {
      const fast = simulate({ tookMs: [about(20), about(20)], callers, ...sizes })
      const all = simulate({ tookMs: [about(20), about(20), about(20)], callers, ...sizes })
      const slow = simulate({ tookMs: [about(20), about(20), about(200)], callers, ...sizes })
      const told = JSON.stringify({ fast, all, slow })
      assert.ok(slow.p99 <= all.p99 * 1.3 && slow.perSecond >= all.perSecond * 0.95, told)
      assert.ok(slow.shares[2]! > 0 && slow.shares[2]! < 0.01, told)
    })
    it(`${callers} callers, all alike: each gets its third, whatever the spread of the answers' times`, () => {
      for (const tookMs of [about(0.3), about(20), skewed(20)]) {
        const { shares } = simulate({ tookMs: [tookMs, tookMs, tookMs], callers, ...sizes })
        for (const share of shares) assert.ok(Math.abs(share - 1 / 3) < 0.02, JSON.stringify(shares))
      }
    })
  }
  it('one that was slow for a while gets its third again within half a minute', () => {
    const wasSlow = (random: number, nowMs: number) => about(nowMs < 10_000 ? 200 : 20)(random)
    // 12 callers at 20 ms make 600 requests a second.
    const { shares } = simulate({ tookMs: [about(20), about(20), wasSlow], callers: 12, requests: 10_000, warmUp: 24_000 })
    for (const share of shares) assert.ok(Math.abs(share - 1 / 3) < 0.02, JSON.stringify(shares))
  })
  it('one that becomes slow is avoided within two seconds', () => {
    const isSlow = (random: number, nowMs: number) => about(nowMs < 10_000 ? 20 : 200)(random)
    const { shares } = simulate({ tookMs: [about(20), about(20), isSlow], callers: 12, requests: 3000, warmUp: 7200 })
    assert.ok(shares[2]! < 0.01, JSON.stringify(shares))
  })
  it('a single long answer among quick ones is no slowness', () => {
    let count = 0
    const rarely = (random: number) => (++count % 2000 === 0 ? 30_000 : about(20)(random))
    const { shares } = simulate({ tookMs: [about(20), about(20), rarely], callers: 12, ...sizes })
    assert.ok(shares[2]! > 0.25, JSON.stringify(shares))
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
