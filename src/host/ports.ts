// Listening TCP ports of this machine: who has one, and which are free.
import { readFileSync } from 'node:fs'
import { isOurs, processName, socketHolders, startedWith } from './processes.js'

/** Who listens on the address, in words ("nginx (pid 812)"); null: nobody. */
export type PortHolder = (address: { host: string; port: number }) => string | null

interface Listener {
  host: string
  port: number
  inode: string
  uid: number
}

/** `port: auto` takes from these; below the kernel's range for outgoing connections. */
const AUTO_FIRST = 20_000
const AUTO_COUNT = 10_000

/** Who listens on the address now.  Throws nothing. */
export const portHolder: PortHolder = address => lookAtPorts().holder(address)

export interface Ports {
  holder: PortHolder
  /** As holder, but programs of the configuration in runDir do not count. */
  foreignHolder(address: { host: string; port: number }, runDir: string): string | null
  /** A port for the instance: the one it listens on already, the one it had (`had`), or the first free one from a place its id gives.  null: none is left. */
  free(question: { instanceId: string; host: string; runDir: string; reserved: ReadonlySet<number>; had: number | null }): number | null
}

/** The ports as they are at this moment: looked at once, when first asked.  Throws nothing. */
export function lookAtPorts(): Ports {
  let listeners: Map<number, Listener[]> | null = null
  let holders: Map<string, number> | null = null
  const on = (host: string, port: number): Listener[] => {
    listeners ??= readListeners()
    return (listeners.get(port) ?? []).filter(listener => meets(listener.host, host))
  }
  const pidOf = (listener: Listener): number | null => {
    holders ??= socketHolders()
    return holders.get(listener.inode) ?? null
  }
  const words = (listener: Listener): string => {
    const pid = pidOf(listener)
    return pid === null ? `a process of uid ${listener.uid}` : `${processName(pid)} (pid ${pid})`
  }
  const foreign = (host: string, port: number, runDir: string): Listener | undefined =>
    on(host, port).find(listener => {
      const pid = pidOf(listener)
      return pid === null || !isOurs(pid, runDir)
    })
  const isInstance = (listener: Listener, id: string, runDir: string): boolean => {
    const pid = pidOf(listener)
    return pid !== null && startedWith(pid, 'GUARD_INSTANCE') === id && isOurs(pid, runDir)
  }
  return {
    holder: ({ host, port }) => on(host, port).map(words)[0] ?? null,
    foreignHolder: ({ host, port }, runDir) => {
      const listener = foreign(host, port, runDir)
      return listener === undefined ? null : words(listener)
    },
    free: ({ instanceId, host, runDir, reserved, had }) => {
      const usable = (port: number) => !reserved.has(port) && on(host, port).every(listener => isInstance(listener, instanceId, runDir))
      const start = hash(instanceId) % AUTO_COUNT
      const candidates = Array.from({ length: AUTO_COUNT }, (_, step) => AUTO_FIRST + ((start + step) % AUTO_COUNT))
      const listening = candidates.filter(port => on(host, port).length > 0)
      return [...listening, ...(had === null ? [] : [had]), ...candidates].find(usable) ?? null
    },
  }
}

/** Sockets in LISTEN (0A) of both tables, by port. */
function readListeners(): Map<number, Listener[]> {
  const all = new Map<number, Listener[]>()
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of linesOf(file).slice(1)) {
      const [, local, , state, , , , uid, , inode] = line.trim().split(/\s+/)
      const [hex, portHex] = (local ?? '').split(':')
      if (state !== '0A' || hex === undefined || portHex === undefined || inode === undefined) continue
      const port = Number.parseInt(portHex, 16)
      all.set(port, [...(all.get(port) ?? []), { host: readAddress(hex), port, inode, uid: Number(uid) }])
    }
  }
  return all
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').filter(Boolean)
  } catch {
    // No IPv6, or no /proc at all: nothing is known to listen, and the bind will tell.
    return []
  }
}

/** The kernel prints each 32 bit word in host order (little endian here). IPv4 in IPv6 reads as IPv4. */
export function readAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap(word => (word.match(/../g) ?? []).reverse().map(byte => Number.parseInt(byte, 16)))
  if (bytes.length === 4) return bytes.join('.')
  const mapped = bytes.slice(0, 10).every(byte => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  if (mapped) return bytes.slice(12).join('.')
  if (bytes.every(byte => byte === 0)) return '::'
  const groups = Array.from({ length: 8 }, (_, index) => ((bytes[index * 2]! << 8) | bytes[index * 2 + 1]!).toString(16))
  return groups.join(':')
}

/** Can a second socket not listen on `wanted` while one listens on `listening`?  A name that is no address meets only sockets that listen everywhere. */
function meets(listening: string, wanted: string): boolean {
  const anywhere = (host: string) => host === '0.0.0.0' || host === '::'
  if (anywhere(listening) || anywhere(wanted)) return true
  if (wanted === 'localhost') return listening === '127.0.0.1' || listening === LOOPBACK_6
  return listening === (wanted === '::1' ? LOOPBACK_6 : wanted)
}

const LOOPBACK_6 = '0:0:0:0:0:0:0:1'

/** FNV-1a, 32 bit: the same place for the same id, on every machine. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0
  return value
}
