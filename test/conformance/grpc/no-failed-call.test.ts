// Services whose connections come to their end under load, as real ones do: not one call fails, and the client never tries twice.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { echoClient, unary } from '../grpc-echo.js'
import { endpoint, startTestProxy } from '../start-proxy.js'
import { answer, messagesOf } from './calls.js'
import { InteropClient } from './interop-client.js'
import { interopServer, SERVICE, zeros } from './interop-service.js'
import { RST, type Wire, type WireStream, wireService } from './wire.js'

const LOAD_MS = 2500
// What a machine with other work gets done in that time is no matter of ours: the load lasts until it has been enough, within reason.
const MAX_LOAD_MS = 20_000
const MIN_CALLS = 200
const MIN_ENDS = 10
const CALLERS = 32
const WORK_MS = 5
const EVERY_MS = 100
const ALL_STREAMS = 2 ** 31 - 1

/** Callers that ask one call after the other for a while; each answer is checked by `ask`.  Returns how many there were. */
async function load(ask: (number: number) => Promise<void>, isEnough: (count: number) => boolean): Promise<number> {
  const start = performance.now()
  let count = 0
  const goesOn = () => {
    const passedMs = performance.now() - start
    return passedMs < LOAD_MS || (passedMs < MAX_LOAD_MS && !isEnough(count))
  }
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (goesOn()) await ask(count++)
    }),
  )
  return count
}

/** GOAWAY for everything, a PING, the real last stream; the connection closes when the last call is over. */
async function twoSteps(wire: Wire): Promise<void> {
  wire.goaway(ALL_STREAMS, RST.NO_ERROR)
  await wire.ping()
  await keepUpTo(wire, lastOf(wire))
}

/** A GOAWAY that leaves out the younger half of what has come: that was not begun, and is dropped. */
async function oneStep(wire: Wire): Promise<void> {
  const open = [...wire.streams.values()].filter(stream => !stream.done && stream.resetCode === null)
  const kept = open[Math.floor(open.length / 2)]?.id ?? lastOf(wire)
  await keepUpTo(wire, kept)
}

/** The last stream each leaving connection works on. */
const keptTo = new WeakMap<Wire, number>()

async function keepUpTo(wire: Wire, last: number): Promise<void> {
  keptTo.set(wire, last)
  for (const stream of wire.streams.values()) if (stream.id > last) stream.done = true
  wire.goaway(last, RST.NO_ERROR)
  while (!wire.closed && wire.openCalls() > 0) await new Promise(resolve => setTimeout(resolve, 2))
  // Calls that crossed the GOAWAY are unread here: a close over them would reset the connection, and the GOAWAY could be lost with it.
  wire.end()
}

const lastOf = (wire: Wire) => Math.max(0, ...wire.streams.keys())

describe('no failed call', () => {
  for (const [title, end] of [
    ['a service that restarts gracefully, with two GOAWAYs', twoSteps],
    ['a service that ends with one GOAWAY and leaves out calls that have reached it', oneStep],
  ] as const) {
    it(`${title}, every ${EVERY_MS} ms under load`, async () => {
      const leaving = new Set<Wire>()
      const answered = new Map<string, number>()
      const service = await wireService({
        opened: stream => {
          stream.done = stream.id > (keptTo.get(stream.wire) ?? ALL_STREAMS)
        },
        ended: stream => {
          setTimeout(() => finish(stream), WORK_MS)
        },
      })
      const finish = (stream: WireStream) => {
        if (stream.done || stream.wire.closed) return
        const text = String(messagesOf(stream.body)[0]!.bytes)
        answered.set(text, (answered.get(text) ?? 0) + 1)
        answer(stream, text)
      }
      const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', holdMs: 1000, endpoints: [endpoint(service.port)] }])
      const client = echoClient(proxy.port, '/s/')
      const timer = setInterval(() => {
        for (const wire of service.wires) {
          if (wire.closed || leaving.has(wire) || wire.streams.size === 0) continue
          leaving.add(wire)
          void end(wire)
        }
      }, EVERY_MS)
      const ask = async (number: number) => {
        const result = await unary(client, 'unary', Buffer.from(`call ${number}`))
        assert.deepEqual([result.code, String(result.reply)], [0, `call ${number}`], result.details)
      }
      const count = await load(ask, calls => calls > MIN_CALLS && leaving.size >= MIN_ENDS)
      clearInterval(timer)
      client.close()
      await proxy.stop()
      await service.close()
      assert.ok(leaving.size >= MIN_ENDS, `${leaving.size} connections were ended`)
      assert.ok(count > MIN_CALLS, `${count} calls`)
      assert.deepEqual(
        [...answered].filter(([, times]) => times > 1),
        [],
        'no call was worked on twice',
      )
    })
  }

  it('a grpc-js server with MAX_CONNECTION_AGE 300 ms and grace: unary calls, streams and dialogues', async () => {
    const server = await interopServer({ 'grpc.max_connection_age_ms': 300, 'grpc.max_connection_age_grace_ms': 500 })
    const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', holdMs: 1000, endpoints: [endpoint(server.port)] }])
    const client = new InteropClient(proxy.port, '/s/')
    const ask = async (number: number) => {
      const call = [
        () => client.unary(SERVICE.UnaryCall, { response_size: 100, ...zeros(100) }),
        () => client.serverStream(SERVICE.StreamingOutputCall, { response_parameters: [{ size: 10 }, { size: 20 }] }),
        () =>
          client.duplex(SERVICE.FullDuplexCall, duplex => {
            duplex.write({ response_parameters: [{ size: 7 }] })
            duplex.once('data', () => setTimeout(() => duplex.end(), 20))
          }),
      ][number % 3]!
      const { code, details } = await call()
      assert.equal(code, 0, `call ${number}: ${details}`)
    }
    const count = await load(ask, calls => calls > MIN_CALLS)
    client.close()
    await proxy.stop()
    server.stop()
    assert.ok(count > MIN_CALLS, `${count} calls`)
  })
})
