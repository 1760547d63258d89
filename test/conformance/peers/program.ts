// Programs of other makers as services and clients: started, waited for, and gone with the test file at the latest.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { closedPort } from '../origins.js'
import { endLater } from '../start-proxy.js'

const LIMIT_MS = 60_000

export const run = promisify(execFile)

/** A program's output; an exit code but 0 is an error with its words. */
export async function output(program: string, argv: string[]): Promise<string> {
  const { stdout } = await run(program, argv, { timeout: LIMIT_MS, maxBuffer: 1 << 26 })
  return stdout
}

export interface Program {
  port: number
  stop(): Promise<void>
}

/** Starts a program that listens on the port it is told, and waits until it does. */
export async function startProgram(program: string, argv: (port: number) => string[], cwd?: string): Promise<Program> {
  const port = await closedPort()
  const child = spawn(program, argv(port), { stdio: ['ignore', 'ignore', 'inherit'], ...(cwd === undefined ? {} : { cwd }) })
  const exited = once(child, 'exit')
  const stop = endLater(async () => {
    child.kill('SIGKILL')
    await exited
  })
  await listens(port, child)
  return { port, stop }
}

async function listens(port: number, child: ChildProcess): Promise<void> {
  const limit = performance.now() + LIMIT_MS
  while (performance.now() < limit) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} exited with ${child.exitCode} before it listened`)
    const socket = connect(port, '127.0.0.1')
    const [event] = await Promise.race([
      once(socket, 'connect').then(() => ['connect']),
      once(socket, 'error').then(() => ['error']),
    ]).catch(() => ['error'])
    socket.destroy()
    if (event === 'connect') return
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error(`${child.spawnfile} does not listen within ${LIMIT_MS} ms`)
}
