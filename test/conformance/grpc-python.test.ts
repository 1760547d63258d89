// The same service through another implementation's client: Python's grpcio on its C core.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { missing } from './external.js'
import { echoServer } from './grpc-echo.js'
import { endpoint, startTestProxy } from './start-proxy.js'

// Debian's python3-grpcio belongs to Debian's python3, wherever another one stands first in the path.
const PYTHON = '/usr/bin/python3'
const noGrpcio = missing([PYTHON, '-c', 'import grpc'], 'python3-grpcio')
const SCRIPT = fileURLToPath(new URL('../../../test/fixtures/grpcio_client.py', import.meta.url))

describe('Python grpcio through the proxy', () => {
  it('all four kinds, metadata, errors, deadline, cancel and 200 calls at once', { skip: noGrpcio }, async () => {
    const server = await echoServer('py')
    const proxy = await startTestProxy([{ prefix: '/core-pipeline/', protocol: 'h2c', endpoints: [endpoint(server.port)] }])
    try {
      const { stdout } = await promisify(execFile)(PYTHON, [SCRIPT, `127.0.0.1:${proxy.port}`, '/core-pipeline/', '/unknown/'], {
        timeout: 60_000,
      })
      const got = JSON.parse(stdout)
      assert.deepEqual(got.unary, ['hello', 'py'])
      assert.deepEqual(got.metadata, ['one', [0, 255]])
      assert.deepEqual([got.collect, got.expand, got.chat, got.large], ['abc', [1, 2, 3], ['x', '', 'z'], 3_000_000])
      assert.equal(got.fail[0], 9)
      assert.equal(got.fail[1], '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n')
      assert.deepEqual([got.deadline[0], got.missing[0], got.nowhere[0], got.cancelled], [4, 12, 12, 1])
      assert.match(got.nowhere[1], /ROUTE_UNKNOWN/)
      assert.equal(got.parallel, 200)
      assert.ok(server.events.includes('cancelled never'), server.events.join(', '))
    } finally {
      await proxy.stop()
      server.stop()
    }
  })
})
