// The daemon's end of a shim's socket, against shims that lie, stall or vanish.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectShim, readExitRecord } from '../../src/supervisor/shim.js'
import type { ShimHandlers } from '../../src/supervisor/shim-connection.js'

const HELLO = `${JSON.stringify({ event: 'hello', version: 1, shim: 5, pid: 0, started_ms: 0, started_at_ms: 0, exit: null, lost: { stdout: 0, stderr: 0 } })}\n`
const ROTATED = '{"event":"rotated","stream":"stdout"}\n'

/** A socket where a shim should be; `act` is the shim. */
async function impostor(t: TestContext, act: (socket: Socket) => void): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'guard-impostor-'))
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => undefined)) // the client hangs up in the middle: that is what is tested
    act(socket)
  })
  await new Promise<void>(resolve => server.listen(join(dir, 'shim.sock'), resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
    rmSync(dir, { recursive: true, force: true })
  })
  return dir
}

function listener(): { heard: string[]; handlers: ShimHandlers; closed: Promise<string> } {
  const heard: string[] = []
  let close: (reason: string) => void
  const closed = new Promise<string>(resolve => (close = resolve))
  const hear = (what: string) => heard.push(what)
  return {
    heard,
    closed,
    handlers: {
      exited: () => hear('exited'),
      logLost: () => hear('log_lost'),
      logOk: () => hear('log_ok'),
      rotated: () => hear('rotated'),
      closed: reason => {
        hear('closed')
        close(reason)
      },
    },
  }
}

test('a first line that is no hello ends the attempt with its reason', async t => {
  for (const [first, reason] of [
    ['garbage\n', /senseless line: not JSON/],
    ['{"event":"hello","version":2}\n', /protocol version 2/],
    [ROTATED, /rotated before hello/],
    ['x'.repeat(20_000), /a line of more than 16384 bytes/],
  ] as const) {
    const dir = await impostor(t, socket => socket.write(first))
    await assert.rejects(connectShim(dir, listener().handlers), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'SHIM_FAILED')
      assert.match(error.message, reason)
      return true
    })
  }
  const silent = await impostor(t, socket => socket.end())
  await assert.rejects(connectShim(silent, listener().handlers), { code: 'SHIM_FAILED', message: `${silent}: closed by the shim` })
})

test('events that come with the hello are heard after it, in order, however the bytes are cut', async t => {
  const bytes = Buffer.from(`${HELLO}${ROTATED}{"event":"log_ok","stream":"stderr","bytes":1}\n{"event":"later"}\n${ROTATED}`)
  for (const size of [1, 7, 64, bytes.length]) {
    const dir = await impostor(t, socket => {
      for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, at + size))
      socket.end()
    })
    const { heard, handlers, closed } = listener()
    const shim = await connectShim(dir, handlers)
    assert.deepEqual(heard, [], 'hello first')
    assert.equal(shim.hello.shim, 5)
    await closed
    assert.deepEqual(heard, ['rotated', 'log_ok', 'rotated', 'closed'])
  }
})

test('nonsense after the hello loses the connection and rejects what was asked', async t => {
  for (const [nonsense, reason] of [
    ['{"reply":99,"ok":true}\n', 'reply 99 to nothing that was asked'],
    ['{"event":"exited","pid":1}\n', 'senseless line: code: not a number >= 0'],
    ['{"event":"error","error":"not a frame"}\n', 'refused: not a frame'],
    ['\n', 'senseless line: not JSON'],
    ['y'.repeat(20_000), 'a line of more than 16384 bytes'],
  ] as const) {
    const dir = await impostor(t, socket => {
      socket.write(HELLO)
      socket.on('data', () => socket.write(nonsense))
    })
    const { heard, handlers, closed } = listener()
    const shim = await connectShim(dir, handlers)
    await assert.rejects(shim.state(), { code: 'SHIM_FAILED', message: `${dir}: ${reason}` })
    assert.equal(await closed, reason)
    await assert.rejects(shim.took(), { code: 'SHIM_FAILED', message: `${dir}: took: not connected` })
    assert.deepEqual(heard, ['closed'], 'told once')
  }
})

test('a close that was asked for is not reported', async t => {
  const dir = await impostor(t, socket => socket.write(HELLO))
  const { heard, handlers } = listener()
  const shim = await connectShim(dir, handlers)
  const asked = assert.rejects(shim.state(), { code: 'SHIM_FAILED', message: `${dir}: closed` })
  shim.close()
  shim.close()
  await asked
  assert.deepEqual(heard, [])
})

test('a damaged exit record is no exit record', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'guard-record-'))
  t.after(() => rmSync(dir, { recursive: true }))
  for (const text of ['', '{', '[]', '{"pid":1}', '{"pid":1,"code":"0","signal":null}']) {
    writeFileSync(join(dir, 'exit.json'), text)
    assert.equal(await readExitRecord(dir), null, text)
  }
})
