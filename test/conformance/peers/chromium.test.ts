// A real browser, over HTTP/1.1 and over TLS with HTTP/2: a page served through the proxy talks back through it by WebSocket, fetch and gRPC-Web,
// and its DOM tells what came of it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { missing } from '../external.js'
import { logLines } from '../log-lines.js'
import { http1Origin, http2Origin, type Origin, readBody, valuesOf } from '../origins.js'
import { endLater, endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { http1Tunneller, type TunnelService } from './tunnel-ends.js'

const PAGE = readFileSync(fileURLToPath(new URL('../../../../test/conformance/peers/chromium-page.html', import.meta.url)))
const LIMIT_MS = 90_000
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--no-first-run',
  // The certificate is a test's.
  '--ignore-certificate-errors',
]
const fixture = (name: string) => fileURLToPath(new URL(`../../../../test/fixtures/tls/${name}`, import.meta.url))

/** How the browser reaches the proxy, and what it must have spoken there. */
const DOORS = [
  { title: 'HTTP/1.1', scheme: 'http', protocol: 'HTTP/1.1' },
  // Its WebSocket, too: by Extended CONNECT on the connection that the page came over (RFC 8441).
  { title: 'HTTP/2 by ALPN', scheme: 'https', protocol: 'HTTP/2.0' },
] as const

describe('Chromium', { skip: missing(['chromium', '--version'], 'chromium') }, () => {
  let web: Origin
  let calls: Origin
  let tunnels: TunnelService
  let proxy: TestProxy
  let directory: string
  /** Methods of what came to the gRPC service. */
  const methods: string[] = []
  before(async () => {
    web = await webService()
    tunnels = await http1Tunneller()
    calls = await http2Origin((stream, raw) => {
      methods.push(valuesOf(raw, ':method')[0]!)
      void answerCall(stream, raw)
    })
    directory = mkdtempSync(join(tmpdir(), 'guard-chromium-log-'))
    proxy = await startTestProxy(
      [
        { prefix: '/w/', endpoints: [endpoint(web.port)], timeoutMs: LIMIT_MS },
        { prefix: '/ws/', endpoints: [endpoint(tunnels.port)] },
        { prefix: '/e/', protocol: 'h2c', endpoints: [endpoint(calls.port)] },
      ],
      {
        tls: { listen: { host: '127.0.0.1', port: 0 }, certificate: fixture('first.pem'), key: fixture('first.key.pem') },
        accessLog: { path: join(directory, 'access.log'), format: 'json', maxBytes: 0, backups: 1 },
      },
    )
  })
  after(async () => {
    await proxy?.stop()
    await Promise.all([web, calls, tunnels].map(each => each?.close()))
    if (directory !== undefined) rmSync(directory, { recursive: true })
  })
  const logged = (): { protocol: string; target: string }[] => logLines(join(directory, 'access.log')).map(line => JSON.parse(line))

  for (const door of DOORS) {
    it(`${door.title}: a page, its WebSocket with text, binary and a close, a fetch, and gRPC-Web to another origin with its preflight`, async () => {
      methods.length = 0
      const port = door.scheme === 'http' ? proxy.port : proxy.status().tls!.port
      const before = logged().length
      const other = encodeURIComponent(`${door.scheme}://localhost:${port}`)
      const dom = await dumpDom(`${door.scheme}://127.0.0.1:${port}/w/page?other=${other}`)
      const told = JSON.parse(/<pre id="told">(.*?)<\/pre>/s.exec(dom)?.[1]?.replaceAll('&amp;', '&') ?? `"${dom}"`)
      assert.deepEqual(told.socketTalk, {
        protocol: 'chat.v2',
        words: 'hello ☺',
        bytes: '0 255 1',
        large: 300_000,
        code: 4001,
        reason: 'asked',
        wasClean: true,
      })
      assert.deepEqual(told.plainFetch, { status: 200, bytes: 100_000, target: '/data?a=b' })
      // The preflights are the proxy's to answer: the service sees calls only.
      assert.deepEqual(methods, ['POST', 'POST'])
      for (const [name, sent] of [
        ['grpcWebFetch', 'application/grpc-web+proto'],
        ['grpcWebTextFetch', 'application/grpc-web-text+proto'],
      ] as const) {
        const { status, type, text } = told[name]
        assert.deepEqual([status, type], [200, sent])
        // What is €'s to windows-1252, which a page's decoder calls latin1, is 0x80.
        assert.match(text, /^\0\0\0\0\x05hello[€\u0080]\0\0\0.grpc-status: ?0\r\n/s)
      }

      // What it spoke, as the proxy saw it.
      await until(() =>
        ['/w/done', '/ws/chat'].every(target =>
          logged()
            .slice(before)
            .some(entry => entry.target === target),
        ),
      )
      const seen = logged().slice(before)
      for (const { target, protocol } of seen) assert.equal(protocol, door.protocol, target)
    })
  }
})

/** /page, /data, and /wait, which is answered when /done has been asked for. */
async function webService(): Promise<Origin> {
  let waiting: ServerResponse | null = null
  let isDone = false
  return http1Origin(async (request, response) => {
    const path = request.url!.split('?')[0]
    if (path === '/page') {
      isDone = false
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE)
    } else if (path === '/wait' && !isDone) waiting = response
    else if (path === '/done') {
      isDone = true
      response.end()
      waiting?.writeHead(404).end()
    } else response.end(JSON.stringify({ bytes: (await readBody(request)).length, target: request.url }))
  })
}

/** Echoes; lets pages of any origin read the answer. */
async function answerCall(stream: ServerHttp2Stream, raw: string[]): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  stream.respond(
    { ':status': 200, 'content-type': valuesOf(raw, 'content-type')[0]!, 'access-control-allow-origin': '*' },
    { waitForTrailers: true },
  )
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(Buffer.concat(chunks))
}

/** The page's DOM after its load event.  The browser's processes and its profile are gone then. */
async function dumpDom(url: string): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), 'guard-chromium-'))
  const browser = spawn('chromium', [...FLAGS, `--user-data-dir=${profile}`, '--dump-dom', url], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const end = endLater(() => {
    if (browser.pid !== undefined && processesWith(profile).length > 0) process.kill(-browser.pid, 'SIGKILL')
  })
  const timer = setTimeout(end, LIMIT_MS)
  let dom = ''
  browser.stdout.on('data', chunk => {
    dom += chunk
  })
  await once(browser, 'close')
  clearTimeout(timer)
  end()
  await until(() => processesWith(profile).length === 0)
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  assert.equal(existsSync(profile), false)
  return dom
}

function processesWith(word: string): string[] {
  return readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && commandOf(pid).includes(word))
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    // It ended meanwhile.
    return ''
  }
}
