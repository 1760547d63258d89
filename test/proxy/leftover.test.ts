// State files of workers are hints: only a process that is ours by its command line is asked to go.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { drainLeftovers, isWorkerOf } from '../../src/proxy/leftover.js'

describe('drainLeftovers', () => {
  let runDir: string
  const children: ChildProcess[] = []
  const start = async (...argv: string[]): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ['-e', 'process.stdout.write("up"); setTimeout(() => {}, 60000)', ...argv], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    children.push(child)
    await once(child.stdout!, 'data')
    return child
  }
  const file = (name: string) => writeFileSync(join(runDir, 'proxy', name), '{"pid":1}')
  before(() => {
    runDir = mkdtempSync(join(tmpdir(), 'guard-left-'))
  })
  after(() => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(runDir, { recursive: true })
  })

  it('no directory: nothing to do', () => assert.deepEqual(drainLeftovers(runDir), []))

  it('a worker of this directory gets SIGTERM; strangers, other directories, dead pids and odd names do not', async () => {
    mkdirSync(join(runDir, 'proxy'))
    const ours = await start('/x/src/proxy/worker.js', runDir, '0')
    const stranger = await start('/x/other.js', runDir)
    const elsewhere = await start('/x/src/proxy/worker.js', `${runDir}2`, '0')
    for (const child of [ours, stranger, elsewhere]) file(`worker-${child.pid}.json`)
    for (const name of [
      'worker-999999999.json',
      'worker-1.json',
      `worker-${process.pid}.json`,
      'worker-0.json',
      'worker--5.json',
      'other.json',
    ])
      file(name)
    const gone = once(ours, 'exit')
    assert.deepEqual(drainLeftovers(runDir), [ours.pid])
    assert.equal((await gone)[1], 'SIGTERM')
    assert.deepEqual([stranger.exitCode, stranger.signalCode, elsewhere.signalCode], [null, null, null])
    // What was not ours is cleared away; what no worker of ours would write stays untouched.
    assert.deepEqual(
      readdirSync(join(runDir, 'proxy')).sort(),
      ['other.json', 'worker--5.json', 'worker-0.json', `worker-${ours.pid}.json`].sort(),
    )
  })

  it('this process is never its own leftover', () => assert.equal(isWorkerOf(process.pid, runDir), false))
})
