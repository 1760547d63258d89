// `guardctl top`: what every instance uses, live on a terminal, one table elsewhere.
import { setTimeout as sleep } from 'node:timers/promises'
import type { InstanceStatus, Usage } from '../../core/status.js'
import { byName } from '../names.js'
import type { Unknown } from '../replies.js'
import { askDaemon, type Call, type Verb } from './call.js'
import { Failure } from './failure.js'
import { topSummary, topTable } from './top-table.js'

interface Look {
  instances: InstanceStatus[]
  unknown: Unknown[]
  usage: Usage[]
}

const REFRESH_MS = 1000
/** CPU is counted from one look to the next, so a single table needs two of them. */
const ONCE_MS = 300
/** The other screen, without a cursor, and back: what was on the terminal is there again afterwards. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'

export const top: Verb = async call => {
  const first = await look(call)
  if (call.line.once || call.line.json || !call.terminal.isTty) return oneTable(call)
  return live(call, first)
}

async function look(call: Call): Promise<Look> {
  const { instances, unknown, usage } = await askDaemon<Look>(call, 'top', { names: call.line.words })
  const [missing] = unknown
  if (missing) throw new Failure('BAD_NAME', `${missing.name}: ERROR (no such ${missing.kind})`, { hint: missing.hint })
  return { instances: instances.toSorted(byName), unknown, usage }
}

async function oneTable(call: Call): Promise<number> {
  await sleep(ONCE_MS)
  const { instances, usage } = await look(call)
  if (call.line.json) call.terminal.printJson({ instances, usage })
  else for (const line of topTable(instances, usage, Number.POSITIVE_INFINITY)) call.terminal.print(line)
  return 0
}

async function live(call: Call, first: Look): Promise<number> {
  const leaving = new AbortController()
  const leave = (): void => leaving.abort()
  const unlisten = listenForLeave(leave)
  call.terminal.onGone(leave)
  await call.terminal.write(ENTER)
  try {
    for (let seen = first; !leaving.signal.aborted; seen = await look(call)) {
      await call.terminal.write(frame(seen))
      await sleep(REFRESH_MS, undefined, { signal: leaving.signal }).catch(() => undefined)
      if (leaving.signal.aborted) break
    }
  } finally {
    unlisten()
    await call.terminal.write(LEAVE)
  }
  return 0
}

// Painted over the last frame, line by line, so that nothing flickers; what does not fit the window is left out.
function frame({ instances, usage }: Look): string {
  // A terminal that does not know its size says 0 (docker exec -t, script).
  const columns = process.stdout.columns || 80
  const rows = process.stdout.rows || 24
  const lines = [topSummary(instances, usage).slice(0, columns), '', ...topTable(instances, usage, columns)]
  const fitting = lines.length < rows ? lines : [...lines.slice(0, rows - 2), `… ${lines.length - rows + 2} more`]
  return `\u001b[H${fitting.map(line => `${line}\u001b[K\r\n`).join('')}\u001b[Jq leaves`
}

function listenForLeave(leave: () => void): () => void {
  const { stdin } = process
  const onKey = (key: Buffer): void => {
    // In raw mode Ctrl-C and Ctrl-D come as bytes.
    if (key.includes('q') || key.includes(3) || key.includes(4)) leave()
  }
  if (stdin.isTTY) {
    stdin.setRawMode(true)
    stdin.on('data', onKey)
  }
  process.once('SIGINT', leave)
  process.once('SIGTERM', leave)
  return () => {
    if (stdin.isTTY) {
      stdin.setRawMode(false)
      stdin.removeListener('data', onKey)
      stdin.pause()
    }
    process.removeListener('SIGINT', leave)
    process.removeListener('SIGTERM', leave)
  }
}
