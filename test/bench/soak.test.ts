// The soak's judgement: what a kill explains, and what makes a worker not the same as before.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { byCause, type Failure, isExplained, Ledger, Lost } from '../../bench/soak/ledger.js'
import { parseOptions } from '../../bench/soak/options.js'
import type { Sample } from '../../bench/soak/samples.js'
import { type Found, isBack, verdictOf } from '../../bench/soak/verdict.js'

const KILLS = [{ killedMs: 1000, goneMs: 1100 }]
const failure = (change: Partial<Failure>): Failure => ({
  kind: 'h2',
  message: 'cut',
  isLost: true,
  startedMs: 900,
  endedMs: 1200,
  ...change,
})

describe('what a kill explains', () => {
  for (const [title, change, isSo] of [
    ['a loss that spans it', {}, true],
    ['a loss that began while the service was dying', { startedMs: 1100 }, true],
    ['not a loss that began when the worker knew', { startedMs: 1101 }, false],
    ['a loss at the very kill', { endedMs: 1000 }, true],
    ['not a loss that was over before it', { endedMs: 999 }, false],
    ['not another failure at the same time', { isLost: false }, false],
  ] as const)
    it(title, () => assert.equal(isExplained(failure(change), KILLS), isSo))

  it('a request that fails is a failure of its kind, lost or not, and the ledger goes on', async () => {
    const ledger = new Ledger()
    await ledger.follow('h2', Promise.reject(new Lost('cut: RST 2')))
    await ledger.follow('h2', Promise.reject(new Error('500 bytes instead of 60000')))
    await ledger.follow('h2', Promise.resolve())
    assert.deepEqual([ledger.counts.h2, ledger.running], [{ done: 1, failed: 2, heldBack: 0 }, 0])
    assert.deepEqual(
      ledger.failures.map(({ isLost }) => isLost),
      [true, false],
    )
    assert.deepEqual(byCause(ledger.failures), { 'h2: cut: RST 2': 1, 'h2: 500 bytes instead of N': 1 })
  })
})

const sample = (change: Partial<Sample>): Sample => ({ ms: 0, rssMb: 100, fds: 20, downstream: 5, upstream: 5, ...change })

function found(change: Partial<Found> = {}): Found {
  // A slow leak of 36 MB an hour, seen for 100 s.
  const samples = Array.from({ length: 101 }, (_, second) =>
    sample({ ms: second * 1000, rssMb: 100 + second / 100, fds: 200 + (second % 3) }),
  )
  const facts = { samples, before: sample({ fds: 22 }), after: sample({ fds: 22 }), messages: [], pids: [7], firstPid: 7 }
  return { ledger: new Ledger(), ...facts, ...change }
}

describe('the verdict', () => {
  it('tells slope and extremes of what came after the warm-up', () => {
    const { rssMb, fds, wrong } = verdictOf(found())
    assert.equal(Math.round(rssMb.slopePerHour), 36)
    assert.deepEqual([fds.least, fds.most, Math.round(rssMb.warm)], [200, 202, 100])
    assert.deepEqual(wrong, [])
  })

  const unexplained = new Ledger()
  unexplained.failures.push(failure({}))
  for (const [title, change, wrong] of [
    ['an open file', { after: sample({ fds: 23 }) }, ['1 files stay open']],
    ['memory beyond 15 %', { after: sample({ rssMb: 130 }) }, ['30 MB stay']],
    ['a worker of which nothing can be told', { after: sample({ rssMb: Number.NaN }) }, ['NaN MB stay']],
    ['a fault that the worker told', { messages: ['uncaught'] }, ['the worker has told 1 faults']],
    ['another worker', { pids: [8] }, ['the worker has told 1 faults']],
    ['a failure that no kill explains', { ledger: unexplained }, ['1 failures are unexplained']],
  ] as [string, Partial<Found>, string[]][])
    it(`calls wrong: ${title}`, () => assert.deepEqual(verdictOf(found(change)).wrong, wrong))

  it('a worker is back with its files closed and its memory within 15 %', () => {
    const before = sample({})
    const back = (change: Partial<Sample>) => isBack(sample(change), before, 100)
    assert.deepEqual([back({ rssMb: 114.9 }), back({ rssMb: 115.1 }), back({ fds: 21 })], [true, false, false])
  })
})

describe('the options', () => {
  it('have defaults, are checked, and --help is none', () => {
    assert.deepEqual(parseOptions([]), { minutes: 1, rate: 300, json: null, heap: 'unwatched' })
    assert.deepEqual(parseOptions(['--minutes', '0.5', '--rate', '50', '--heap', '--json', 'x']), {
      minutes: 0.5,
      rate: 50,
      json: 'x',
      heap: 'watched',
    })
    assert.equal(parseOptions(['--help']), null)
    for (const args of [['--minutes', '0'], ['--rate', 'fast'], ['--rate', '9'], ['--surely']]) assert.throws(() => parseOptions(args))
  })
})
