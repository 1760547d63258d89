// The order of starts and stops, as tables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTiers, stopBlockers } from '../../src/core/order.js'
import type { GroupSpec, InstanceSpec } from '../../src/core/spec.js'

const on = (...programs: string[]): InstanceSpec['dependsOn'] => programs.map(program => ({ program, condition: 'started' as const }))
const program = (name: string, priority = 999, dependsOn: InstanceSpec['dependsOn'] = [], group = name): InstanceSpec =>
  ({ id: group === name ? name : `${group}:${name}`, name, group, program: name, priority, dependsOn }) as InstanceSpec
const group = (name: string, priority: number): GroupSpec => ({ name, priority, programs: [] })

const rows: [string, InstanceSpec[], GroupSpec[], string[][]][] = [
  ['programs of one priority are one tier', [program('a'), program('b')], [], [['a', 'b']]],
  ['the lowest priority is first', [program('a', 20), program('b', 10)], [], [['b'], ['a']]],
  ['a dependency of later priority pulls its dependent down with it', [program('a', 1, on('b')), program('b', 9)], [], [['a', 'b']]],
  [
    'a chain is lifted as a whole',
    [program('a', 1, on('b')), program('b', 2, on('c')), program('c', 3), program('d', 2)],
    [],
    [['d'], ['a', 'b', 'c']],
  ],
  [
    'the group’s priority comes before the program’s',
    [program('a', 1, [], 'late'), program('b', 50, [], 'early')],
    [group('late', 9), group('early', 2)],
    [['early:b'], ['late:a']],
  ],
  ['a dependency outside the set does not matter', [program('a', 1, on('elsewhere')), program('b', 2)], [], [['a'], ['b']]],
]

for (const [title, instances, groups, tiers] of rows) {
  test(title, () => {
    assert.deepEqual(
      startTiers(instances, groups).map(tier => tier.map(each => each.id)),
      tiers,
    )
  })
}

test('a stop waits for later tiers and for dependents, never in a circle', () => {
  const instances = [program('a', 1, on('b')), program('b', 9), program('c', 20)]
  assert.deepEqual(Object.fromEntries(stopBlockers(instances, [])), { a: ['c'], b: ['a', 'c'], c: [] })
})
