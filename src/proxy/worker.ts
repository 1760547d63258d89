// A proxy worker's process: gets settings, route tables and the listening socket from the daemon, and serves without it if it must.
// Started as `node worker.js RUN_DIR SLOT` by workers.ts; the next daemon recognises it by these words.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Door, FromWorker, ToWorker } from '../core/route-table.js'
import { Gateway } from './gateway.js'

const [runDir = '.', slot = '0'] = process.argv.slice(2)
// A worker whose requests run wild into the same bug leaves instead of trying for ever.
const MAX_FAULTS = 20
const FAULT_DRAIN_MS = 10_000

let gateway: Gateway | null = null
let faults = 0
let leaving = false
let exitCode = 0

process.on('message', (message: ToWorker, handle: unknown) => receive(message, handle))
// The daemon is gone: what we know stays true until somebody says otherwise.
process.on('disconnect', () => {})
process.on('SIGTERM', () => leave(gateway?.settings.drainMs ?? 0))
// A terminal's Ctrl-C and hang-up go to the whole group; the daemon decides what they mean.
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.stderr.on('error', () => {})
process.on('uncaughtException', error => fault(error))
process.on('exit', () => rmSync(stateFile(), { force: true }))

function receive(message: ToWorker, handle: unknown): void {
  switch (message.kind) {
    case 'settings':
      gateway ??= new Gateway({ settings: message.settings, version: message.version, slot: Number(slot), log: tellLog, ready: tellReady })
      return
    case 'table':
      gateway?.table(message.table)
      break
    case 'listen':
      listen(message.door, handle)
      break
    case 'reopen':
      gateway?.reopenLog()
      break
    case 'drain':
      leave(message.limitMs)
      break
  }
}

function listen(door: Door, handle: unknown): void {
  writeState()
  gateway?.listen(door, handle, error => {
    tellLog('error', `cannot open the ${door} door: ${error.message}`)
    process.exit(1)
  })
}

/** Accepts nothing more, finishes what runs, and goes. */
function leave(limitMs: number): void {
  if (leaving) return
  leaving = true
  if (gateway === null) process.exit(exitCode)
  send({ kind: 'leaving' })
  gateway.drain(limitMs, () => {
    send({ kind: 'drained' })
    // The channel is asynchronous: go when the message has left.
    setImmediate(() => process.exit(exitCode))
  })
}

/** After an error nobody caught, this process is not trusted with new connections; those it has may finish. */
function fault(error: Error): void {
  faults++
  exitCode = 1
  tellLog('error', `uncaught in proxy worker ${process.pid}: ${error.stack ?? error}`)
  if (faults > MAX_FAULTS) process.exit(1)
  leave(FAULT_DRAIN_MS)
}

/** So that a daemon that did not start us can find us; it checks what it reads. */
function writeState(): void {
  mkdirSync(join(runDir, 'proxy'), { recursive: true, mode: 0o700 })
  writeFileSync(stateFile(), JSON.stringify({ pid: process.pid, slot: Number(slot) }), { mode: 0o600 })
}

function stateFile(): string {
  return join(runDir, 'proxy', `worker-${process.pid}.json`)
}

function tellReady(tableVersion: number): void {
  send({ kind: 'ready', tableVersion })
}

function tellLog(level: 'info' | 'warn' | 'error', message: string): void {
  if (process.connected) send({ kind: 'log', level, message })
  else process.stderr.write(`proxy worker ${process.pid}: ${message}\n`)
}

function send(message: FromWorker): void {
  // Without a daemon there is nobody to tell; a channel that breaks under the message is the same.
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}
