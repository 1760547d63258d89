// A configuration read in a process of its own: the same answer as in this one, and no file can hurt whoever asks.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { requireConfig } from '../../src/host/config.js'
import { readConfigApart } from '../../src/host/config-apart.js'

function fileWith(t: TestContext, text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'guard-apart-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'guard.yaml'), text)
  return join(dir, 'guard.yaml')
}

test('it is the configuration that requireConfig gives', async t => {
  const file = fileWith(
    t,
    'programs:\n  a: { command: sleep 1, environment: { X: "é\\n" }, limits: { core: infinity } }\nproxy: { listen: none }\n',
  )
  const apart = await readConfigApart(file, {})
  const here = requireConfig(file, process.env)
  assert.deepEqual(apart, JSON.parse(JSON.stringify(here)))
})

test('a port that an instance has now stays its port', async t => {
  const file = fileWith(t, 'programs:\n  a: { command: sleep 1, port: auto }\nproxy: { listen: none }\n')
  const [instance] = (await readConfigApart(file, { a: 28_123 })).instances
  assert.equal(instance?.address?.port, 28_123)
})

test('problems come with their code, every line of them', async t => {
  const file = fileWith(t, 'programs:\n  a: { comand: sleep 1, startsecs: ten }\n')
  await assert.rejects(readConfigApart(file, {}), (error: { code?: string; message: string }) => {
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.ok(error.message.split('\n').length >= 2, error.message)
    return true
  })
  await assert.rejects(readConfigApart('/nope/guard.yaml', {}), { code: 'CONFIG_UNREADABLE' })
})
