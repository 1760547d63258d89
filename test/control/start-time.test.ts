// guardctl starts fast: it loads nothing of the daemon, and a test measures it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { CLI, FakeGuard, served } from './fakes.js'

const LIMIT_MS = 150
const RUNS = 9
const BUILT = resolve(dirname(CLI))

interface Graph {
  files: Set<string>
  packages: Set<string>
  dynamic: string[]
}

/** Everything the built file loads before its first own line, and the imports it may make later. */
function importsOf(file: string, graph: Graph): Graph {
  if (graph.files.has(file)) return graph
  graph.files.add(file)
  const text = readFileSync(file, 'utf8')
  for (const [, target] of text.matchAll(/^(?:import|export)\s(?:[^'"]*?\sfrom\s)?['"]([^'"]+)['"]/gm)) {
    if (target!.startsWith('.')) importsOf(resolve(dirname(file), target!), graph)
    else graph.packages.add(target!)
  }
  for (const [, target] of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)) graph.dynamic.push(`${relative(BUILT, file)} → ${target}`)
  return graph
}

test('guardctl loads node’s own modules only; check loads the configuration reader, a file with run_dir loads yaml', () => {
  const graph = importsOf(CLI, { files: new Set(), packages: new Set(), dynamic: [] })
  assert.ok(graph.files.size > 15, 'the walk has found the files')
  assert.deepEqual(
    [...graph.packages].filter(name => !name.startsWith('node:')),
    [],
  )
  const loaded = [...graph.files].map(file => relative(BUILT, file))
  assert.deepEqual(
    loaded.filter(file => /^(daemon|main)|^(supervisor|proxy|host)\/|control\/(server|streams|replies|params|log-reader)\./.test(file)),
    [],
  )
  assert.deepEqual(graph.dynamic.toSorted(), ['control/cli/check.js → ../../host/config.js', 'control/cli/locate.js → yaml'])
})

test(`guardctl status takes at most ${LIMIT_MS} ms more than node -e 0, in the median`, async t => {
  const { socketPath } = await served(t, new FakeGuard().running('web'))
  const bare: number[] = []
  const cli: number[] = []
  // Alternating, so that a busy moment of the machine meets both.
  for (let run = 0; run < RUNS; run++) {
    bare.push(await timed(['-e', '0']))
    cli.push(await timed([CLI, '-s', `unix://${socketPath}`, 'status']))
  }
  const more = median(cli) - median(bare)
  t.diagnostic(`node -e 0: ${median(bare).toFixed(0)} ms, guardctl status: ${median(cli).toFixed(0)} ms, ${more.toFixed(0)} ms more`)
  // On a machine where node itself takes longer than on an idle one, everything does.
  assert.ok(more <= Math.max(LIMIT_MS, 1.5 * median(bare)), `${more.toFixed(0)} ms more`)
})

async function timed(words: string[]): Promise<number> {
  const from = performance.now()
  const child = spawn(process.execPath, words, { stdio: 'ignore' })
  const [exit] = await once(child, 'close')
  assert.equal(exit, 0)
  return performance.now() - from
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
