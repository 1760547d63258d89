// What a program leaves when its shim was killed under it: nobody is its parent any more, so it is found by its session.
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_MS = 20
const SHIM_GOES_MS = 500
const SWEEP_MS = 2_000

/** Waits until the process is gone.  A shim that hung up and lives on past the limit is not dying: another daemon has taken it over. */
export async function goesSoon(pid: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < SHIM_GOES_MS; waitedMs += LOOK_MS) {
    if ((await statOf(pid)) === null) return true
    await sleep(LOOK_MS)
  }
  return (await statOf(pid)) === null
}

/** Kills every process of the session that the program `leader` led, until none is left, at most for SWEEP_MS.
 *  A session's number is not given to another as long as one member lives, and the caller comes within moments of the shim's death. */
export async function sweepSession(leader: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < SWEEP_MS; waitedMs += LOOK_MS) {
    const left = await membersOf(leader)
    if (left.length === 0) return
    for (const pid of left) kill(pid)
    await sleep(LOOK_MS)
  }
}

async function membersOf(leader: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map(async pid => ((await statOf(pid))?.session === leader ? [pid] : [])))
  return found.flat()
}

/** null: no such process, or only its exit code is left. */
async function statOf(pid: number): Promise<{ session: number } | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  // The command name may hold spaces and brackets; what follows its last bracket does not: state, parent, group, session.
  const [state, , , session] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return session === undefined || state === 'Z' || state === 'X' ? null : { session: Number(session) }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in between.
  }
}
