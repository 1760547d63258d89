// Starting, pinning and ending the processes of the bench: the proxy on one CPU, load and origin on another.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { everyone, facts } from '../supervise/proc.js'
import type { Child, ProxyChild } from './peer.js'

export const PROXY_CPU = 0
export const LOAD_CPU = 1
const START_MS = 15_000
const END_MS = 5_000

/** This process and what it starts from now on stays on the load's CPU, and may open as many files as the machine allows. */
export function settleOnLoadCpu(): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(LOAD_CPU), String(process.pid)], { stdio: 'ignore' })
  const hard = execFileSync('prlimit', ['--pid', String(process.pid), '--nofile', '--output', 'HARD', '--noheadings'], {
    encoding: 'utf8',
  }).trim()
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${hard}:${hard}`])
}

/** All threads it has; those it makes later follow. */
export function pinToProxyCpu(pid: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(PROXY_CPU), String(pid)], { stdio: 'ignore' })
}

/** Runs on the proxy's CPU. */
export function spawnProxy(
  command: string,
  args: string[],
  place: { directory: string; outFile: string; env?: NodeJS.ProcessEnv },
): ProxyChild {
  const out = openSync(place.outFile, 'a')
  const child = spawn('taskset', ['-c', String(PROXY_CPU), command, ...args], {
    cwd: place.directory,
    env: { ...process.env, ...place.env },
    stdio: ['ignore', out, out],
  })
  closeSync(out)
  return Object.assign(started(child), { outFile: place.outFile })
}

/** Runs on the load's CPU, as everything that is not a proxy. */
export function spawnBeside(command: string, args: string[]): Child {
  return started(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
}

function started(child: ChildProcess): Child {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started`)
  return child as Child
}

/** SIGTERM, and SIGKILL where that does not help. */
export async function end(child: Child): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS)
  child.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}

/** The process and all its descendants. */
export function family(pid: number): number[] {
  const all = everyone()
  const members = facts(pid) === null ? [] : [pid]
  for (const member of members) members.push(...all.filter(({ parent }) => parent === member).map(found => found.pid))
  return members
}

/** A child that listens has started.  Throws when it ends instead, or takes too long. */
export async function listening(child: ProxyChild, port: number): Promise<void> {
  const until = performance.now() + START_MS
  while (!(await accepts(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended at once: ${lastLine(child.outFile)}`)
    if (performance.now() > until) throw new Error(`nothing listens on ${port}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function lastLine(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? ''
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** A port nobody has now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
