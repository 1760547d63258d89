// Stops of a tree with the children that supervisors forget: how many processes are left when the stop is reported done.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { quantile } from './numbers.js'
import type { Measurement, Running } from './peer.js'
import { facts, type ProcessFacts } from './proc.js'
import { until, type Workplace } from './workplace.js'

const TREE_MAKER = fileURLToPath(new URL('../../../test/fixtures/bin/tree-maker', import.meta.url))
const TREE_SIZE = 6
const POLL_MS = 5

export const torture: Measurement = {
  figures: [
    { name: 'survivors', unit: '', limit: { atMost: 0 } },
    { name: 'stops', unit: '', limit: null },
    { name: 'stop p50', unit: 'ms', limit: null },
  ],
  boundMs: 300_000,
  async run(peer, place) {
    const file = join(place.directory, 'tree')
    const program = { name: 'tree', argv: [TREE_MAKER, file], autostart: false, autorestart: false, logBytes: 2 ** 20 }
    const running = await peer.start([program], place)
    place.stopAtEnd(running)
    await running.ready()
    const tookMs: number[] = []
    let survivors = 0
    for (let round = 0; round < peer.rounds; round += 1) {
      const tree = await grow(running, file, place)
      const startedMs = performance.now()
      await running.stopProgram('tree')
      tookMs.push(performance.now() - startedMs)
      survivors += endSurvivors(tree)
    }
    return { survivors, stops: tookMs.length, 'stop p50': quantile(tookMs, 0.5) }
  },
}

/** The whole tree, as it stands before the stop. */
async function grow(running: Running, file: string, place: Workplace): Promise<ProcessFacts[]> {
  rmSync(file, { force: true })
  await running.startProgram('tree')
  const pids = await until(place, POLL_MS, () => (existsSync(file) ? pidsIn(file) : null))
  const tree = pids.map(facts).filter(found => found !== null)
  if (tree.length !== TREE_SIZE) throw new Error(`the tree has ${tree.length} processes instead of ${TREE_SIZE}`)
  return tree
}

function pidsIn(file: string): number[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map(line => Number(line.split(' ')[1]))
}

/** A pid with another start time is somebody else.  Returns how many of the tree still lived. */
function endSurvivors(tree: ProcessFacts[]): number {
  const living = tree.filter(({ pid, startedMs }) => facts(pid)?.startedMs === startedMs)
  for (const { pid } of living) process.kill(pid, 'SIGKILL')
  return living.length
}
