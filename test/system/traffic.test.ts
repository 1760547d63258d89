// Supervisor and proxy as one system: requests wait while a service restarts, go only to what is ready, and know when there is nothing to wait for.
import assert from 'node:assert/strict'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort } from '../free-port.js'
import { type Rig, root, system, until } from './rig.js'

const origin = join(root, 'test/fixtures/http-origin.mjs')

interface Answer {
  status: number
  body: string
}

function ask(port: number, path: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', path, ...(agent && { agent }) }, response => {
      let body = ''
      response.on('data', chunk => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', reject)
    })
    request.on('error', reject)
  })
}

async function gateway(t: Parameters<typeof system>[0], more = '') {
  const [port, first] = [await freePort(), await freePort()]
  const yaml = `proxy: { listen: 127.0.0.1:${port}, drain: 2s }\nprograms:\n  web:\n    command: node ${origin} \${port}\n    port: ${first}\n    probe: { http: { path: /healthz }, interval: 1s }\n${more}routes:\n  - { prefix: /web/, to: web, hold: 20s }\n`
  const rig = await system(t, yaml)
  return { rig, port, yaml }
}

const ready = (rig: Rig, id: string) => rig.when(id, status => status.ready)

test('no request fails while its service restarts under load', async t => {
  const { rig, port } = await gateway(t)
  await ready(rig, 'web')
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const answers: Answer[] = []
  let done = false
  const clients = [...Array(8)].map(async () => {
    while (!done) answers.push(await ask(port, '/web/hello', agent))
  })
  for (let round = 0; round < 3; round++) {
    const restarted = await rig.ctl('restart', 'web')
    assert.equal(restarted.code, 0, restarted.stdout + restarted.stderr)
    // It runs, and has had the time to answer: else the next restart could come first.
    const { pid } = await ready(rig, 'web')
    await until(() => answers.at(-1)?.body === String(pid), `${pid} answers`)
  }
  done = true
  await Promise.all(clients)
  agent.destroy()
  const failed = answers.filter(answer => answer.status !== 200)
  assert.deepEqual(failed, [], `${failed.length} of ${answers.length} failed`)
  assert.ok(answers.length > 100, `${answers.length} requests`)
  const pids = new Set(answers.map(answer => answer.body))
  assert.ok(pids.size >= 3, `${pids.size} processes answered`)
})

test('a request waits for a service that is starting, and is refused at once when nobody wants it up', async t => {
  const { rig, port } = await gateway(t)
  await ready(rig, 'web')
  await rig.ctl('stop', 'web')
  const startedMs = performance.now()
  assert.equal((await ask(port, '/web/hello')).status, 503)
  assert.ok(performance.now() - startedMs < 10_000, 'it waited for what is stopped: half of its hold')
  const waiting = rig.ctl('start', 'web')
  await rig.when('web', status => status.state !== 'STOPPED')
  assert.equal((await ask(port, '/web/hello')).status, 200)
  assert.equal((await waiting).code, 0)
})

test('a killed service is answered for by its successor', async t => {
  const { rig, port } = await gateway(t)
  const { pid } = await ready(rig, 'web')
  process.kill(pid, 'SIGKILL')
  await rig.when('web', status => status.pid !== pid)
  assert.equal((await ask(port, '/web/hello')).status, 200)
})

test('routes are taken over in place: no restart of program or worker, the next request knows the new prefix', async t => {
  const { rig, port, yaml } = await gateway(t)
  const { pid } = await ready(rig, 'web')
  assert.equal((await ask(port, '/other/hello')).status, 404)
  rig.write(`${yaml}  - { prefix: /other/, to: web }\n`)
  const { stdout, code } = await rig.ctl('update')
  assert.equal(code, 0)
  assert.match(stdout, /route \/other\//)
  assert.equal((await ask(port, '/other/hello')).status, 200)
  assert.equal((await rig.one('web')).pid, pid)
})

test('the proxy goes on while the daemon is dead, and the next daemon takes the port over', async t => {
  const { rig, port } = await gateway(t)
  await ready(rig, 'web')
  await rig.crash()
  assert.equal((await ask(port, '/web/hello')).status, 200)
  await rig.start()
  // Without somebody above who holds the socket (systemd, guard-init) the port changes hands with a short gap.
  const answers = async () => (await ask(port, '/web/hello').catch(() => null))?.status === 200
  await until(answers, 'the next daemon serves')
})

test('requests go round over the copies of a program', async t => {
  const base = await freePort(2)
  const port = await freePort()
  const yaml = `proxy: { listen: 127.0.0.1:${port} }\nprograms:\n  web:\n    command: node ${origin} \${port}\n    port: ${base}\n    numprocs: 2\n    probe: { http: { path: /healthz } }\nroutes:\n  - { prefix: /web/, to: web }\n`
  const rig = await system(t, yaml)
  await ready(rig, 'web:web_00')
  await ready(rig, 'web:web_01')
  // The worker may hear of the second later than guardctl does.
  const both = new Set<string>()
  await until(async () => both.add((await ask(port, '/web/hello')).body).size === 2, 'both answer')
  const bodies: string[] = []
  for (let n = 0; n < 10; n++) bodies.push((await ask(port, '/web/hello')).body)
  assert.deepEqual(
    [...new Set(bodies)].map(body => bodies.filter(each => each === body).length),
    [5, 5],
  )
})
