// The table a worker gets: order, names, weights, and who is expected.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { routeTable } from '../../src/core/route-table.js'
import type { RouteSpec } from '../../src/core/spec.js'
import type { InstanceStatus } from '../../src/core/status.js'
import { plainRules } from './fixture-proxy.js'

const route = (prefix: string, change: Partial<RouteSpec> = {}): RouteSpec => ({
  ...plainRules(prefix),
  to: { program: 'web' },
  weights: [],
  ...change,
})

function status(id: string, change: Partial<InstanceStatus> = {}): InstanceStatus {
  return {
    ...{ id, name: id, group: 'web', program: 'web', state: 'RUNNING', pid: 1, wanted: 'up', ready: true, startedAtMs: 0, stoppedAtMs: 0 },
    ...{ uptimeMs: 0, restarts: 0, reason: '', lastLines: [], exit: null, logLost: { bytes: 0, error: '' } },
    ...{ address: { host: '127.0.0.1', port: 1 }, logs: { stdout: null, stderr: null } },
    ...change,
  } as InstanceStatus
}

describe('routeTable', () => {
  it('has the longest prefix first and keeps the order of equals', () => {
    const routes = [route('/'), route('/a/', { id: '/a/ x=1' }), route('/a/'), route('/a/b/')]
    assert.deepEqual(
      routeTable(1, routes, []).routes.map(({ id }) => id),
      ['/a/b/', '/a/ x=1', '/a/', '/'],
    )
  })
  it('weights go to the addresses in order, 1 where none is said', () => {
    const to = { endpoints: [{ host: 'a', port: 1 }, { host: 'b', port: 2 }, { socket: '/c' }] }
    const [table] = routeTable(1, [route('/a/', { id: '/a/ host=x', to, weights: [3, 2] })], []).routes
    assert.deepEqual(
      table!.endpoints.map(({ id, weight }) => [id, weight]),
      [
        ['a:1', 3],
        ['b:2', 2],
        ['unix:/c', 1],
      ],
    )
    assert.equal(table!.upstream, '/a/ host=x')
  })
  it('weights go to instances by their place, whoever is down', () => {
    const statuses = [status('web_00', { address: null }), status('other', { program: 'other' }), status('web_01', { ready: false })]
    const [table] = routeTable(1, [route('/a/', { weights: [3, 2] })], statuses).routes
    assert.deepEqual(
      table!.endpoints.map(({ id, weight, ready }) => [id, weight, ready]),
      [['web_01', 2, false]],
    )
  })
  it('neither `to` nor `weights` leave the daemon, everything else does', () => {
    const [table] = routeTable(1, [route('/a/', { balance: { kind: 'least_requests' }, maxBodyBytes: 5 })], []).routes
    const { upstream, expected, endpoints, ...rules } = table!
    assert.deepEqual([upstream, expected, endpoints], ['web', false, []])
    assert.deepEqual(rules, { ...plainRules('/a/'), balance: { kind: 'least_requests' }, maxBodyBytes: 5 })
  })
})
