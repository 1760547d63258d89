// The configuration of this machine, from real files.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AppError } from '../../src/core/error.js'
import { readConfig, requireConfig } from '../../src/host/config.js'

const home = realpathSync(mkdtempSync(join(tmpdir(), 'guard-config-')))
after(() => rmSync(home, { recursive: true }))

function write(name: string, text: string): string {
  mkdirSync(join(home, name, '..'), { recursive: true })
  writeFileSync(join(home, name), text)
  return join(home, name)
}

test('a local configuration keeps its sockets and logs beside itself, and includes what is there', () => {
  const file = write('a/guard.yaml', 'include: [conf.d/*.yaml]\n')
  write('a/conf.d/web.yaml', 'programs: {web: {command: run, user: root}}\n')
  const config = requireConfig(file, { PATH: '/bin' })
  assert.deepEqual(config.files, [file, join(home, 'a/conf.d/web.yaml')])
  assert.deepEqual(config.guard.runDir, join(home, 'a/.guard'))
  assert.deepEqual(config.guard.logDir, join(home, 'a/logs'))
  assert.equal(config.instances[0]?.run.environment.HOME, '/root')
  assert.equal(config.instances[0]?.run.directory, join(home, 'a/conf.d'))
})

test('every problem is one line of the error; an unreadable file has its own code', () => {
  const file = write('b/guard.yaml', 'programs:\n  web: {comand: run}\n  db: {command: db, user: nobdy-at-all, directory: none}\n')
  const invalid = (error: unknown) => error instanceof AppError && error.code === 'CONFIG_INVALID'
  assert.throws(
    () => requireConfig(file, {}),
    error => {
      assert.ok(invalid(error))
      assert.deepEqual((error as Error).message.split('\n'), [
        'guard.yaml:2:8: program "web" has no command; expected the command line to run',
        'guard.yaml:2:9: unknown option "comand" in program "web"; did you mean "command"?',
        'guard.yaml:3:27: user is "nobdy-at-all"; expected an account of this machine',
        `guard.yaml:3:52: directory is "${home}/b/none", which does not exist`,
      ])
      return true
    },
  )
  assert.throws(
    () => requireConfig(join(home, 'none.yaml'), {}),
    error => error instanceof AppError && error.code === 'CONFIG_UNREADABLE' && error.message === `${home}/none.yaml: no such file`,
  )
})

test('a port that another process has is named with its holder', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => server.close())
  const { port } = server.address() as { port: number }
  const loaded = readConfig(write('c/guard.yaml', `programs: {web: {command: run, port: ${port}}}\n`), {})
  assert.deepEqual('problems' in loaded && loaded.problems.map(problem => problem.text), [
    `guard.yaml:1:38: port ${port} is taken: ${basename(process.execPath)} (pid ${process.pid}) listens on it`,
  ])
})

test('an auto port stays with its instance while the daemon knows it', () => {
  const file = write('d/guard.yaml', 'programs: {web: {command: run, port: auto}}\n')
  const portOf = (config: ReturnType<typeof requireConfig>) => config.instances[0]?.address?.port
  const first = portOf(requireConfig(file, {}))
  assert.equal(portOf(requireConfig(file, {})), first)
  assert.equal(portOf(requireConfig(file, {}, { portOf: id => (id === 'web' ? 29_001 : null) })), 29_001)
})

test('the demo and the example of this repository are right', () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  for (const file of ['config/guard.yaml', 'config/examples/demo/guard.yaml']) {
    const loaded = readConfig(root + file, { PATH: '/bin' })
    assert.deepEqual('problems' in loaded ? loaded.problems.filter(problem => !problem.message.includes(' is taken: ')) : [], [], file)
  }
})
