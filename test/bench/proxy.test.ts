// The proxy bench's own parts: what it is told, what it reads from its tools, medians and ratios, and what it says. Real peers are not run here.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, request } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { check } from '../../bench/proxy/check.js'
import { type Measured, medianOf, type Round } from '../../bench/proxy/measure.js'
import { median, ratio, rotated } from '../../bench/proxy/numbers.js'
import { helpText, parseOptions } from '../../bench/proxy/options.js'
import { anythingWrong, type CaseResult, jsonResults, limitsOf, report } from '../../bench/proxy/report.js'
import { compileTools, h2loadOutput, output, ownLoad, wrkOutput } from '../../bench/proxy/tools.js'
import { missing } from '../conformance/external.js'
import { freePort } from '../free-port.js'

const KNOWN = { cases: ['h1', 'h2-8x32'], peers: ['guard', 'nginx'] }

describe('what the proxy bench is told', () => {
  it('runs everything five times with logs on and off when nothing is said', () => {
    const expected = { json: null, rounds: 5, seconds: 2, quick: false, warmUpSeconds: 2, cases: [], peers: [], logs: ['on', 'off'] }
    assert.deepEqual(parseOptions([], KNOWN), expected)
  })

  it('takes names with commas or one by one', () => {
    const options = parseOptions(['--case', 'h1', '--case=h2-8x32', '--peer', 'guard,nginx', '--log', 'off', '--json', 'x'], KNOWN)
    assert.deepEqual([options?.cases, options?.peers, options?.logs, options?.json], [['h1', 'h2-8x32'], ['guard', 'nginx'], ['off'], 'x'])
  })

  it('--quick is one short round, and --rounds still counts', () => {
    const quick = parseOptions(['--quick'], KNOWN)
    assert.deepEqual([quick?.rounds, quick?.seconds, quick?.warmUpSeconds], [1, 1, 1])
    assert.equal(parseOptions(['--quick', '--rounds', '3'], KNOWN)?.rounds, 3)
  })

  const WRONG: [string[], RegExp][] = [
    [['--case', 'h3'], /--case h3: there are h1, h2-8x32/],
    [['--peer', 'nginx,apache'], /--peer apache: there are guard, nginx/],
    [['--rounds', '0'], /--rounds 0: expected a whole number/],
    [['--rounds', '2.5'], /--rounds 2\.5: expected a whole number/],
    [['--log', 'maybe'], /--log maybe: expected on or off/],
    [['--fast'], /--fast/],
    [['h1'], /h1/],
  ]
  for (const [args, message] of WRONG) it(`refuses ${args.join(' ')}`, () => assert.throws(() => parseOptions(args, KNOWN), { message }))

  it('--help names every case and peer', () => {
    assert.equal(parseOptions(['--help'], KNOWN), null)
    assert.match(helpText(KNOWN), /h1 h2-8x32[\s\S]*guard nginx/)
  })
})

describe('numbers', () => {
  const MEDIANS: [number[], number][] = [
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 10, 2], 3],
    [[10, 9, 100], 10],
  ]
  for (const [values, expected] of MEDIANS) it(`the median of ${values} is ${expected}`, () => assert.equal(median(values), expected))

  it('the median of nothing is no number', () => assert.ok(Number.isNaN(median([]))))

  it('a ratio pairs what was measured in the same round', () => {
    // The medians are equal; in every single round ours took twice as long.
    assert.equal(ratio([20, 40, 80], [10, 20, 40]), 2)
    assert.equal(ratio([20, null, 80], [10, 1, 40]), 2)
    assert.equal(ratio([20], [0]), null)
    assert.equal(ratio([null], [4]), null)
    assert.equal(ratio([], []), null)
  })

  it('everyone comes first once', () => {
    assert.deepEqual(
      [0, 1, 2, 3].map(round => rotated(['a', 'b', 'c'], round).join('')),
      ['abc', 'bca', 'cab', 'abc'],
    )
    assert.deepEqual(rotated([], 2), [])
  })
})

describe('what the tools print', () => {
  const h2load = (counts: string, statuses: string, dataBytes: number): string => `
finished in 2.00s, 50.00 req/s, 3.67MB/s
requests: 100 total, 132 started, ${counts}
status codes: ${statuses}
traffic: 7.3MB (7686617) total, 333KB (341690) headers (space savings 94.74%), 2.44MB (${dataBytes}) data
`

  it('h2load: requests and time', () => {
    const text = h2load('100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout', '100 2xx, 0 3xx, 0 4xx, 0 5xx', 1500)
    assert.deepEqual(h2loadOutput(text, 15), { requests: 100, errors: 0, seconds: 2 })
  })

  it('h2load: other statuses, lost streams and replies without their bytes are errors', () => {
    const good = '100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout'
    assert.equal(h2loadOutput(h2load(good, '93 2xx, 0 3xx, 0 4xx, 7 5xx', 1500), 15).errors, 7)
    assert.equal(h2loadOutput(h2load('100 done, 95 succeeded, 2 failed, 2 errored, 1 timeout', '100 2xx, 0 3xx', 1500), 15).errors, 5)
    // A trailers-only gRPC error is a 200 for h2load.
    assert.equal(h2loadOutput(h2load(good, '100 2xx, 0 3xx, 0 4xx, 0 5xx', 1500 - 30), 15).errors, 2)
  })

  it('h2load: nothing done is no figure', () => {
    const text = h2load('0 done, 0 succeeded, 0 failed, 8 errored, 0 timeout', '0 2xx, 0 3xx, 0 4xx, 0 5xx', 0)
    assert.throws(() => h2loadOutput(text, 15), /h2load did nothing/)
  })

  const wrk = (more: string): string => `
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   305.44us  126.07us   2.60ms   77.59%
  Latency Distribution
     50%  281.00us
     75%  387.00us
     90%  446.00us
     99%    1.35ms
  244243 requests in 2.10s, 18.63MB read
${more}Requests/sec: 116221.74
`

  it('wrk: requests, time and latency in ms', () => {
    assert.deepEqual(wrkOutput(wrk('')), { requests: 244_243, errors: 0, seconds: 2.1, p50Ms: 0.281, p99Ms: 1.35 })
  })

  it('wrk: socket errors and other statuses are errors', () => {
    const more = '  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 90\n'
    assert.equal(wrkOutput(wrk(more)).errors, 100)
    assert.throws(() => wrkOutput('unable to connect'), /wrk did nothing/)
  })
})

function measured(peer: string, cpuUs: (number | null)[], errors = 0): Measured {
  const round = (value: number | null): Round => ({
    cpuUs: value,
    perSecond: 1000,
    p50Ms: null,
    p99Ms: null,
    rssMb: 20,
    mbPerCpuSecond: null,
    kbPerConnection: null,
    errors: value === null ? errors : 0,
    requests: 500,
    seconds: 2,
    cpuShare: 0.5,
    othersShare: 0.04,
  })
  return { peer, rounds: cpuUs.map(round), note: '' }
}

function h1(peers: Measured[], log: 'on' | 'off' = 'on'): CaseResult {
  return { log, case: 'h1', peers, lacks: { nginx: [], nghttpx: ['prefix not stripped'] } }
}

describe('what the proxy bench says', () => {
  const good = h1([measured('origin alone', [5]), measured('guard', [20, 40, 30]), measured('nginx', [10, 40, 60])])

  it('a row per peer with medians, the same-round ratio and the noise', () => {
    const line = report([good], [])
      .split('\n')
      .find(each => each.startsWith('| nginx'))
    assert.deepEqual(
      line?.split('|').map(cell => cell.trim()),
      ['', 'nginx', '40.0', '1000', '-', '-', '20.0', '1.00', '0', '4 %', ''],
    )
  })

  it('every line of a table has the same number of cells', () => {
    const lines = report([good], [])
      .split('\n')
      .filter(line => line.startsWith('|'))
    const cells = lines.slice(0, 5).map(line => line.split('|').length)
    assert.deepEqual(new Set(cells).size, 1)
  })

  it('a peer with errors has no figure, and the run did not go well', () => {
    const result = h1([measured('guard', [20, 20]), measured('nginx', [10, null], 3)])
    assert.equal(medianOf(result.peers[1] as Measured, 'cpuUs'), null)
    assert.match(report([result], []), /\| nginx +\| +- \| +- .* 3 of 1000 \|/)
    assert.deepEqual([anythingWrong([result]), anythingWrong([good])], [true, false])
  })

  it('a peer that failed in a round has no figure', () => {
    const broken: Measured = { peer: 'nginx', rounds: [null], note: 'ended at once' }
    const text = report([h1([measured('guard', [20]), broken])], [])
    assert.match(text, /\| nginx .* failed \|/)
    assert.match(text, /^- nginx: ended at once \(h1 log on\)$/m)
  })

  it('limits are those of the access log on, and hold at their edge', () => {
    const at = (guard: number): (boolean | null)[] =>
      limitsOf([h1([measured('guard', [guard]), measured('nginx', [10])])])
        .filter(limit => limit.case === 'h1')
        .map(({ holds }) => holds)
    assert.deepEqual(at(14), [true, null, null])
    assert.deepEqual(at(14.1), [false, null, null])
    assert.ok(limitsOf([h1([measured('guard', [14]), measured('nginx', [10])], 'off')]).every(({ holds }) => holds === null))
  })

  it('names what is missing and what a peer cannot do', () => {
    const text = report([good], ['caddy is not installed (apt-get install caddy) and left out'])
    assert.match(text, /^- caddy is not installed/m)
    assert.match(text, /^- nghttpx: prefix not stripped \(h1\)$/m)
  })

  it('the JSON has figures, ratios and every round', () => {
    const rows = jsonResults([good]) as { peer: string; figures: { cpuUs: number }; ratios: { cpuUs: number } | null; rounds: object[] }[]
    assert.deepEqual(
      rows.map(({ peer, figures, ratios, rounds }) => [peer, figures.cpuUs, ratios?.cpuUs ?? null, rounds.length]),
      [
        ['origin alone', 5, null, 1],
        ['guard', 30, 1, 3],
        ['nginx', 40, 1, 3],
      ],
    )
  })
})

describe('the check of a configuration', () => {
  it('a peer that does not start leaves no origin behind', async () => {
    // It did, and the bench never ended after its report.
    const facts = { protocol: 'http1' as const, port: await freePort(), originPort: await freePort(), accessLog: null }
    await assert.rejects(
      check(() => Promise.reject(new Error('ended at once')), facts),
      /ended at once/,
    )
    const again = createServer().listen(facts.originPort, '127.0.0.1')
    await once(again, 'listening')
    again.close()
  })

  it('another answer than the origin’s is refused, and what the origin was sent is looked at', async () => {
    for (const [answer, expected] of [
      ['something else', /answered .*something else/],
      ['fifteen letters', null],
    ] as const) {
      const facts = { protocol: 'http1' as const, port: await freePort(), originPort: await freePort(), accessLog: null }
      const start = async () => {
        const proxy = createHttpServer((incoming, outgoing) => {
          const { url } = incoming
          const headers = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' }
          request({ port: facts.originPort, path: url, headers, agent: false }, got =>
            got.resume().on('end', () => outgoing.end(answer)),
          ).end()
        })
        await new Promise<void>(resolve => proxy.listen(facts.port, '127.0.0.1', resolve))
        return { prefix: '/bench/', pids: () => [], stop: async () => void proxy.close() }
      }
      if (expected !== null) await assert.rejects(check(start, facts), expected)
      else assert.deepEqual(await check(start, facts), { lacks: ['prefix not stripped', 'no X-Request-Id'] })
    }
  })
})

describe('the own origin and load', { skip: missing(['cc', '--version'], 'gcc') }, () => {
  it('every call and every echo is answered, counted and checked', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'bench-proxy-'))
    const tools = compileTools(directory)
    const port = await freePort()
    const origin = spawn(tools.origin, [String(port), '15'], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(origin.stdout, 'data')
      const load = async (...words: (string | number)[]) =>
        ownLoad((await output(tools.load, [words[0], port, '/a/b', ...words.slice(1), 'Bearer x'].map(String), 1)).split('\n').at(-2) ?? '')
      const rate = await load('rate', 4, 0.2, 500)
      assert.deepEqual([rate.requests, rate.errors], [100, 0])
      const echoes = await load('ws', 4, 0.1, 0)
      assert.ok(echoes.requests > 4 && echoes.errors === 0, JSON.stringify(echoes))
    } finally {
      origin.kill('SIGKILL')
      rmSync(directory, { recursive: true })
    }
  })

  it('an answer that is not the origin’s is an error, not a figure', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'bench-proxy-'))
    const tools = compileTools(directory)
    const server = createHttp2Server()
    server.on('stream', stream =>
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' }, { endStream: true }),
    )
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as { port: number }
      const load = ownLoad(await output(tools.load, ['rate', String(port), '/a/b', '2', '0.1', '200', 'Bearer x'], 1))
      assert.deepEqual([load.requests, load.errors], [20, 20])
    } finally {
      server.close()
      rmSync(directory, { recursive: true })
    }
  })
})
