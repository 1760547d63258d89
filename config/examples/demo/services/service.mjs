// What every demo service shares: its command line, its log lines, its graceful stop.
import { basename } from 'node:path'
import { parseArgs } from 'node:util'

/** Everything listens on loopback only: the proxy on port 6006 is the one open door. */
export const HOST = '127.0.0.1'
/** What is still busy this long after SIGTERM is cut off; less than the 10 s after which the supervisor sends SIGKILL. */
const DRAIN_MS = 5_000

/** The options of this program, `--name value`, all of them required.
 *  A missing or unknown one ends the program with exit code 2. */
export function options(names) {
  try {
    const { values } = parseArgs({ options: Object.fromEntries(names.map(name => [name, { type: 'string' }])) })
    const missing = names.find(name => values[name] === undefined)
    if (missing) throw new Error(`--${missing} is missing`)
    return values
  } catch (error) {
    process.stderr.write(`${basename(process.argv[1])}: ${error.message}\n`)
    process.exit(2)
  }
}

/** One line on stdout; the supervisor's shim puts it into the program's log file. */
export function log(text) {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`)
}

/** Calls `stop` once, on the first SIGTERM or SIGINT, and ends the process when it has resolved; further signals change nothing. */
export function stopWith(stop) {
  let stopping = false
  const onSignal = async signal => {
    if (stopping) return
    stopping = true
    log(`${signal}: finishing what is under way`)
    setTimeout(() => process.exit(0), DRAIN_MS).unref()
    await stop()
    log('stopped')
    process.exit(0)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
