// What a worker holds, read from /proc every second: memory, open files, connections on both sides.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { rssMb } from '../supervise/proc.js'

const EVERY_MS = 1000
const LISTENS = '0A'

export interface Sample {
  /** Since the first one. */
  ms: number
  rssMb: number
  fds: number
  downstream: number
  upstream: number
  /** With --heap: used heap, and buffers outside of it. */
  heapMb?: number
  buffersMb?: number
}

export interface Watch {
  samples: Sample[]
  stop(): void
}

interface Watched {
  pid: number
  port: number
  /** null: not watched. */
  heapFile: string | null
}

export function watch(watched: Watched): Watch {
  const startMs = performance.now()
  const samples: Sample[] = []
  const timer = setInterval(() => {
    const sample = sampleOf(watched, performance.now() - startMs)
    if (sample !== null) samples.push(sample)
  }, EVERY_MS)
  return { samples, stop: () => clearInterval(timer) }
}

/** null: the worker is not there. */
export function sampleOf({ pid, port, heapFile }: Watched, ms: number): Sample | null {
  const links = openFiles(pid)
  if (links === null) return null
  const inodes = new Set(links.map(link => /^socket:\[(\d+)\]$/.exec(link)?.[1]).filter(inode => inode !== undefined))
  const sockets = ['tcp', 'tcp6'].flatMap(table => connections(table)).filter(({ inode }) => inodes.has(inode))
  const downstream = sockets.filter(({ localPort }) => localPort === port).length
  const sample = { ms: Math.round(ms), rssMb: rssMb(pid), fds: links.length, downstream, upstream: sockets.length - downstream }
  return heapFile === null ? sample : { ...sample, ...heapOf(heapFile) }
}

/** What each descriptor leads to; null: there is no such process. */
function openFiles(pid: number): string[] | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap(fd => link(`/proc/${pid}/fd/${fd}`))
  } catch {
    return null
  }
}

/** None where it has just been closed. */
function link(path: string): string[] {
  try {
    return [readlinkSync(path)]
  } catch {
    return []
  }
}

function connections(table: string): { localPort: number; inode: string }[] {
  const [, ...lines] = readFileSync(`/proc/net/${table}`, 'latin1').trimEnd().split('\n')
  return lines.flatMap(line => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
    return state === LISTENS ? [] : [{ localPort: Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16), inode }]
  })
}

function heapOf(file: string): Partial<Sample> {
  try {
    const { heapUsed, external } = JSON.parse(readFileSync(file, 'utf8')) as NodeJS.MemoryUsage
    return { heapMb: heapUsed / 2 ** 20, buffersMb: external / 2 ** 20 }
  } catch {
    // It has not written yet.
    return {}
  }
}
