// The failure matrix: what a gRPC client is told when the service, its connection or the way to it breaks.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { h2cRequest } from './clients.js'
import { echoClient, unary } from './grpc-echo.js'
import { type FrameSocket, frameOrigin, message } from './h2-frames.js'
import { closedPort, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

const CALL = { method: 'POST', headers: { 'content-type': 'application/grpc', te: 'trailers' }, body: message('hello').toString('latin1') }

interface Row {
  title: string
  /** What the service does with the n-th call it gets. */
  service(connection: FrameSocket, id: number): void
  status: number
  /** 'head': one HEADERS frame with END_STREAM (rule 8); 'trailers': after head and data (rule 9). */
  form: 'head' | 'trailers'
}

const reset = (code: number) => (connection: FrameSocket, id: number) => connection.reset(id, code)
const begin = (connection: FrameSocket, id: number) => {
  connection.grpcHead(id)
  connection.data(id, message('part'))
}

const ROWS: Row[] = [
  { title: 'RST CANCEL before the head', service: reset(8), status: 1, form: 'head' },
  { title: 'RST PROTOCOL_ERROR before the head', service: reset(1), status: 13, form: 'head' },
  { title: 'RST INTERNAL before the head', service: reset(2), status: 13, form: 'head' },
  { title: 'RST FLOW_CONTROL before the head', service: reset(3), status: 13, form: 'head' },
  { title: 'RST ENHANCE_YOUR_CALM before the head', service: reset(11), status: 8, form: 'head' },
  { title: 'RST INADEQUATE_SECURITY before the head', service: reset(12), status: 7, form: 'head' },
  { title: 'RST NO_ERROR before the head', service: reset(0), status: 13, form: 'head' },
  { title: 'a connection lost before the head, after the request was sent', service: c => c.socket.destroy(), status: 14, form: 'head' },
  {
    title: 'RST INTERNAL after head and data',
    service: (c, id) => {
      begin(c, id)
      c.reset(id, 2)
    },
    status: 13,
    form: 'trailers',
  },
  {
    title: 'RST REFUSED_STREAM after head and data',
    service: (c, id) => {
      begin(c, id)
      c.reset(id, 7)
    },
    status: 14,
    form: 'trailers',
  },
  {
    title: 'RST CANCEL after head and data',
    service: (c, id) => {
      begin(c, id)
      c.reset(id, 8)
    },
    status: 1,
    form: 'trailers',
  },
  {
    title: 'a connection lost in the middle of a message',
    service: (c, id) => {
      c.grpcHead(id)
      c.data(id, message('a long message').subarray(0, 8))
      setTimeout(() => c.socket.destroy(), 200)
    },
    status: 14,
    form: 'trailers',
  },
]

describe('a failing service', () => {
  let act: Row['service'] = () => {}
  let calls = 0
  let origin: Origin
  let proxy: TestProxy

  before(async () => {
    origin = await frameOrigin({
      ended: (connection, id) => {
        calls++
        act(connection, id)
      },
    })
    proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints: [endpoint(origin.port)] }])
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })

  for (const row of ROWS) {
    it(`${row.title} is grpc-status ${row.status} as ${row.form}, to frames and to grpc-js, without a second try`, async () => {
      act = row.service
      calls = 0
      const session = connect(`http://127.0.0.1:${proxy.port}`)
      const answer = await h2cRequest(session, { ...CALL, path: '/s/x.Y/Z' })
      session.destroy()
      assert.equal(answer.status, 200)
      assert.equal(answer.headers['content-type'], 'application/grpc')
      assert.equal(answer.headOnly, row.form === 'head')
      assert.equal(row.form === 'head' ? answer.headers['grpc-status'] : answer.trailers['grpc-status'], String(row.status))
      const client = echoClient(proxy.port, '/s/')
      const result = await unary(client, 'unary', Buffer.from('x'))
      client.close()
      assert.equal(result.code, row.status, result.details)
      assert.equal(calls, 2)
    })
  }

  it('the service named in the message is the route, not an address of ours', async () => {
    act = reset(2)
    const client = echoClient(proxy.port, '/s/')
    const { details } = await unary(client, 'unary', Buffer.from('x'))
    client.close()
    assert.match(details, /^UPSTREAM_PROTOCOL: \/s\/: /)
  })
})

describe('what was never begun is sent again', () => {
  const cases: { title: string; first(connection: FrameSocket, id: number): void }[] = [
    { title: 'REFUSED_STREAM before the head', first: reset(7) },
    {
      title: 'GOAWAY with a lower last stream id, then a close',
      first: connection => {
        connection.goaway(0, 0)
        connection.socket.end()
      },
    },
  ]
  for (const { title, first } of cases) {
    it(`${title}: the call succeeds at its second try`, async () => {
      const tries: number[] = []
      const origin = await frameOrigin({
        ended: (connection, id) => {
          tries.push(connection.number)
          if (tries.length === 1) first(connection, id)
          else connection.ok(id, 'second')
        },
      })
      const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', holdMs: 2000, endpoints: [endpoint(origin.port)] }])
      const client = echoClient(proxy.port, '/s/')
      const result = await unary(client, 'unary', Buffer.from('x'))
      assert.deepEqual([result.code, String(result.reply), tries.length], [0, 'second', 2], result.details)
      client.close()
      await proxy.stop()
      await origin.close()
    })
  }

  it('a service that refuses every stream is asked twice and no more', async () => {
    let tries = 0
    const origin = await frameOrigin({
      ended: (connection, id) => {
        tries++
        connection.reset(id, 7)
      },
    })
    const route = { prefix: '/s/', protocol: 'h2c' as const, holdMs: 5000 }
    const proxy = await startTestProxy([{ ...route, endpoints: [endpoint(origin.port), endpoint(origin.port, { id: 'again' })] }])
    const client = echoClient(proxy.port, '/s/')
    assert.equal((await unary(client, 'unary', Buffer.from('x'))).code, 14)
    assert.equal(tries, 2)
    client.close()
    await proxy.stop()
    await origin.close()
  })

  it('an endpoint that refuses the connection costs nothing: the next one gets the call', async () => {
    const origin = await frameOrigin({ ended: (connection, id) => connection.ok(id, 'here') })
    const endpoints = [endpoint(await closedPort()), endpoint(origin.port), endpoint(await closedPort())]
    const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints }])
    const client = echoClient(proxy.port, '/s/')
    for (let at = 0; at < 6; at++) assert.equal((await unary(client, 'unary', Buffer.from('x'))).code, 0)
    client.close()
    await proxy.stop()
    await origin.close()
  })

  it('streams up to the last id of a GOAWAY finish on the old connection, new ones go to a new one', async () => {
    let answerOld: (() => void) | null = null
    const origin = await frameOrigin({
      ended: (connection, id) => {
        if (connection.number > 1) connection.ok(id, 'new')
        if (connection.number > 1 || answerOld !== null) return
        connection.goaway(id, 0)
        answerOld = () => connection.ok(id, 'old')
      },
    })
    const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints: [endpoint(origin.port)] }])
    const client = echoClient(proxy.port, '/s/')
    const old = unary(client, 'unary', Buffer.from('x'))
    await until(() => answerOld !== null)
    const next = await unary(client, 'unary', Buffer.from('y'))
    answerOld!()
    assert.deepEqual([String(next.reply), String((await old).reply)], ['new', 'old'])
    client.close()
    await proxy.stop()
    await origin.close()
  })
})
