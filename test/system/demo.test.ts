// What a newcomer sees: the demo comes up, answers curl, Python's grpcio, grpc-js and a WebSocket, and Ctrl-C leaves nothing behind.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'
import { freePort } from '../free-port.js'
import { endNow, leftovers, root, run, until } from './rig.js'

const demo = join(root, 'config/examples/demo')

/** The demo's own configuration with free ports and a folder of its own. */
async function start(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'guard-demo-'))
  const port = await freePort()
  let yaml = readFileSync(join(demo, 'guard.yaml'), 'utf8').replaceAll('directory: services', `directory: ${demo}/services`)
  for (const fixed of ['50051', '50052', '50053']) yaml = yaml.replaceAll(fixed, `${await freePort()}`)
  const file = join(dir, 'guard.yaml')
  writeFileSync(file, yaml)
  const env = { ...process.env, GUARD_PROXY_LISTEN: `127.0.0.1:${port}`, GUARD_TEST_HOME: dir }
  // A session of its own: the Ctrl-C below goes to the whole foreground group, as a terminal sends it.
  const child = spawn(process.execPath, [join(demo, 'start.mjs'), file], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (printed += chunk))
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      process.kill(-(child.pid as number), 'SIGINT')
      await once(child, 'exit')
    }
    const left = leftovers(dir)
    for (const { pid } of left) endNow(pid)
    rmSync(dir, { recursive: true, force: true })
    assert.deepEqual(left, [], printed)
  })
  return { dir, file, port, child, printed: () => printed, env }
}

test('the demo serves curl, grpcio, grpc-js and a WebSocket, prints what to try, and Ctrl-C leaves nothing behind', async t => {
  const { dir, file, port, child, printed } = await start(t)
  await until(
    () => /curl/.test(printed()) || child.exitCode !== null,
    () => `no page on what to try:\n${printed()}`,
    60_000,
  )
  const curl = async (path: string, ...more: string[]) => {
    const { stdout } = await run('curl', ['-sS', '-m', '20', '-w', '\n%{http_code}', ...more, `http://127.0.0.1:${port}${path}`])
    const cut = stdout.lastIndexOf('\n')
    return { status: stdout.slice(cut + 1), body: stdout.slice(0, cut) }
  }
  await t.test('GET /health is 200', async () => assert.equal((await curl('/health')).status, '200'))
  for (const prefix of ['core-pipeline', 'framaist-milvus', 'predictor']) {
    await t.test(`GET /${prefix}/health is 200 JSON`, async () => {
      const { status, body } = await curl(`/${prefix}/health`)
      assert.equal(status, '200', body)
      assert.equal(typeof JSON.parse(body), 'object')
    })
  }
  await t.test('an unknown prefix is 404', async () => assert.equal((await curl('/no-such-prefix/x')).status, '404'))
  await t.test('HTTP service: /predict and /info', async () => {
    assert.equal((await curl('/predictor/info')).status, '200')
    const { status, body } = await curl('/predictor/predict', '-d', '{"parameters_b": 7, "batch": 4, "context_k": 4, "gpu_gb": 24}')
    assert.equal(status, '200', body)
  })
  await t.test('grpc-js: unary and the three streaming kinds', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [join(demo, 'client.mjs'), `127.0.0.1:${port}`])
    assert.equal(code, 0, stdout + stderr)
  })
  await t.test('Python grpcio: unary, the three streaming kinds, UNIMPLEMENTED for an unknown prefix', async t => {
    const probe = await run('/usr/bin/python3', ['-c', 'import grpc'])
    if (probe.code !== 0) {
      assert.notEqual(process.env.CI, 'true', 'CI needs the Debian package python3-grpcio')
      t.skip('needs the Debian package python3-grpcio')
      return
    }
    const { code, stdout, stderr } = await run('/usr/bin/python3', [join(demo, 'client.py'), `127.0.0.1:${port}`])
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /UNIMPLEMENTED/)
  })
  await t.test('a WebSocket echoes', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/predictor/ws`)
    await once(socket, 'open')
    const heard: string[] = []
    socket.on('message', data => heard.push(data.toString()))
    socket.send('hello through 6006')
    await until(() => heard.some(text => text.includes('hello through 6006')), 'the echo')
    socket.close()
    await once(socket, 'close')
  })
  await t.test('the workers do their work', async () => {
    const { stdout, code } = await run(process.execPath, [
      fileURLToPath(new URL('../../src/cli.js', import.meta.url)),
      '-c',
      file,
      'status',
    ])
    assert.equal(code, 0, stdout)
    assert.match(stdout, /task-worker:task-worker_01 +RUNNING/)
  })
  process.kill(-(child.pid as number), 'SIGINT')
  process.kill(-(child.pid as number), 'SIGINT')
  const [code] = await once(child, 'exit')
  assert.ok(code === 0 || code === 130, `exit code ${code}\n${printed()}`)
  await until(
    () => leftovers(dir).length === 0,
    () => JSON.stringify(leftovers(dir)),
  )
  assert.equal(existsSync(join(dir, '.guard', 'guard.sock')), false)
})

test('a taken port says who holds it and how to choose another', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const env = { ...process.env, GUARD_PROXY_LISTEN: `127.0.0.1:${port}` }
  const { code, stdout, stderr } = await run(process.execPath, [join(demo, 'start.mjs')], { env })
  assert.equal(code, 1)
  assert.match(stdout + stderr, new RegExp(`${port} is taken by .*node.*${process.pid}.*GUARD_PROXY_LISTEN=`))
})

test('npx finds guardctl and autodl-guard in the checkout', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.match((await run('npx', ['guardctl', '--version'], { cwd: root })).stdout, new RegExp(version))
  assert.match((await run('npx', ['autodl-guard', '-v'], { cwd: root })).stdout, new RegExp(version))
})
