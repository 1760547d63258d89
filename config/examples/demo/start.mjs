// What `npm start` runs: the daemon with the demo configuration, a page on what to try, and the logs; Ctrl-C stops everything in order.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { welcome } from './welcome.mjs'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const DAEMON = `${ROOT}dist/src/main.js`
const GUARDCTL = `${ROOT}dist/src/cli.js`
const CONFIG = resolve(process.argv[2] ?? fileURLToPath(new URL('guard.yaml', import.meta.url)))
const READY_MS = 60_000
const POLL_MS = 500

process.exitCode = await main()

async function main() {
  const { config, obstacle } = await look()
  if (obstacle) {
    say(obstacle)
    return 1
  }
  const startedMs = performance.now()
  const daemon = spawn(process.execPath, [DAEMON, '-c', CONFIG], { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(daemon, 'exit')
  const stop = stopOnSignal(daemon)

  const instances = await untilReady(AbortSignal.any([stop, abortedBy(ended)]))
  const logs = instances && followLogs({ instances, port: config.proxy.listen.port, tookMs: performance.now() - startedMs })
  const [code, signal] = await ended
  logs?.kill('SIGTERM')
  return report({ exitCode: code ?? 128 + constants.signals[signal], signal, asked: stop.aborted, log: config.guard.log.path })
}

/** The configuration, or why the demo cannot start. */
async function look() {
  if (!existsSync(DAEMON)) return { obstacle: 'there is no build yet: `npm run build` makes it' }
  if ((await status()) !== null) return { obstacle: `it runs already: npx guardctl -c ${here(CONFIG)} status` }
  const { requireConfig } = await import(`${ROOT}dist/src/host/config.js`)
  try {
    const config = requireConfig(CONFIG, process.env)
    return { config, obstacle: await portTaken(config) }
  } catch (error) {
    return { obstacle: error.message }
  }
}

/** Who holds the proxy's port; null: nobody.  A proxy that outlived its daemon has left its state file: the new daemon takes the port over from it. */
async function portTaken({ proxy, guard }) {
  const { portHolder } = await import(`${ROOT}dist/src/host/ports.js`)
  const states = `${guard.runDir}/proxy`
  const leftover = existsSync(states) && readdirSync(states).length > 0
  const holder = leftover ? null : portHolder(proxy.listen)
  return holder && `port ${proxy.listen.port} is taken by ${holder}; choose another one: GUARD_PROXY_LISTEN=0.0.0.0:7007 npm start`
}

/** Ctrl-C reaches the daemon by itself too; being told twice does it no harm.  Returns the signal that is aborted as the stop begins. */
function stopOnSignal(daemon) {
  const stop = new AbortController()
  const onSignal = () => {
    if (!stop.signal.aborted) say('\nstopping everything in order ...')
    stop.abort()
    daemon.kill('SIGTERM')
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal)
  return stop.signal
}

function abortedBy(promise) {
  const controller = new AbortController()
  promise.then(() => controller.abort())
  return controller.signal
}

/** Resolves with the status of every instance when all are ready, or as it is when the time is up; with null when it is over before. */
async function untilReady(over) {
  const deadlineMs = performance.now() + READY_MS
  while (!over.aborted) {
    const instances = await status()
    if (over.aborted) break
    if (instances?.every(({ ready }) => ready) || performance.now() > deadlineMs) return instances ?? []
    await sleep(POLL_MS, undefined, { signal: over }).catch(() => 'over')
  }
  return null
}

/** null: the daemon does not answer yet. */
function status() {
  return new Promise(done =>
    execFile(process.execPath, [GUARDCTL, '-c', CONFIG, 'status', '--json'], (_error, stdout) => {
      try {
        done(JSON.parse(stdout).instances ?? null)
      } catch {
        done(null)
      }
    }),
  )
}

function followLogs({ instances, port, tookMs }) {
  say(welcome({ instances, port, tookMs, config: here(CONFIG), folder: here(dirname(fileURLToPath(import.meta.url))) }))
  return spawn(process.execPath, [GUARDCTL, '-c', CONFIG, 'logs', '-f', '-250'], { stdio: ['ignore', 'inherit', 'inherit'] })
}

function report({ exitCode, signal, asked, log }) {
  if (asked && exitCode === 0) say('everything has stopped')
  else {
    say(`the daemon ended ${signal ? `by ${signal}` : `with exit code ${exitCode}`}; its log is ${here(log)}`)
    if (signal) say('the programs run on; the next `npm start` takes them over')
  }
  return exitCode
}

/** A path as one types it here. */
function here(path) {
  return relative(process.cwd(), path) || '.'
}

function say(text) {
  process.stdout.write(`${text}\n`)
}
