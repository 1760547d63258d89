// Binding the port: what is told when it cannot be had.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import type { AppError } from '../../src/core/error.js'
import { bindSocket } from '../../src/proxy/socket.js'

describe('bindSocket', () => {
  it('port 0 is a port of the system’s choice, and it is free again after close', async () => {
    const bound = await bindSocket({ host: '127.0.0.1', port: 0 }, () => null)
    assert.ok(bound.port > 0)
    bound.handle.close()
    const again = await bindSocket({ host: '127.0.0.1', port: bound.port }, () => null)
    assert.equal(again.port, bound.port)
    again.handle.close()
  })

  it('a taken port is PORT_TAKEN and names who holds it', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const asked: number[] = []
    for (const [holder, named] of [
      ['nginx (pid 12)', 'nginx (pid 12)'],
      [null, 'another process'],
    ] as const) {
      await assert.rejects(
        bindSocket({ host: '127.0.0.1', port }, async asking => {
          asked.push(asking)
          return holder
        }),
        (error: AppError) => {
          assert.equal(error.code, 'PORT_TAKEN')
          assert.equal(error.message, `proxy.listen 127.0.0.1:${port}: the port is held by ${named}`)
          return true
        },
      )
    }
    assert.deepEqual(asked, [port, port])
    server.close()
  })

  for (const [host, why] of [
    ['192.0.2.1', /EADDRNOTAVAIL/],
    ['no.such.host.invalid', /the host has no address/],
  ] as const) {
    it(`${host} is LISTEN_FAILED`, async () => {
      await assert.rejects(
        bindSocket({ host, port: 0 }, () => null),
        (error: AppError) => error.code === 'LISTEN_FAILED' && why.test(error.message),
      )
    })
  }
})
