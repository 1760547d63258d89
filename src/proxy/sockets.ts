// Sockets without Node's stream machinery: native/sockets.c reads all that are ready, and one call a turn hands over what came.
import { createRequire } from 'node:module'
import { isIP, type Socket } from 'node:net'
import type { EndpointAddress } from '../core/spec.js'

/** native/sockets.c. */
interface Addon {
  open(arena: Buffer, events: Int32Array, onEvents: (count: number) => void): void
  /** Copies the descriptor.  Returns a slot. */
  adopt(fd: number): number
  /** To a path (port 0) or the number of a host.  Returns a slot, or the negative errno. */
  connect(where: string, port: number): number
  watch(slot: number, what: number): void
  /** Its next read is half as large as its last; it grows again by small steps where it is filled. */
  slow(slot: number): void
  /** Returns how many bytes were taken, or the negative errno. */
  send(slot: number, bytes: Buffer, start: number, end: number): number
  shutdown(slot: number): void
  close(slot: number, isReset: boolean): void
  trim(): void
}

/** Who hears of a socket. */
export interface SocketOwner {
  /** The bytes are valid during the call only. */
  data(chunk: Buffer, start: number, end: number): void
  peerEnded(): void
  /** errno: positive. */
  failed(errno: number): void
  /** It is connected; later: there is room again for what `send` did not take. */
  writable(): void
}

// As in native/sockets.c.
const DATA = 0
const END = 1
const WRITABLE = 3
const EVENT_INTS = 4
export const READING = 1
export const WRITING = 2

// Four busy sockets in one go, or a thousand with small requests.
const ARENA_BYTES = 256 * 1024
const MAX_EVENTS = 4096
// A turn that is longer makes others wait…
const LONG_TURN_MS = 5
// …and whose bytes took this much of it brings less in the next.  Floods that V8 has not compiled yet took 20-30 ms of a turn.
const COSTLY_MS = 1
/** The smallest read. */
const LARGE_BYTES = 1024

const arena = Buffer.allocUnsafeSlow(ARENA_BYTES)
const events = new Int32Array(MAX_EVENTS * EVENT_INTS)
const owners: (SocketOwner | null)[] = []
/** Of this turn: slots whose bytes were costly. */
const costly: number[] = []
let isHearing = false
let whenHeard: (() => void) | null = null
const loaded = load()

/** Why Node's own sockets must do; null where ours are here. */
export const missing: string | null = typeof loaded === 'string' ? loaded : null
/** Only where nothing is missing. */
export const native = loaded as Addon

function load(): Addon | string {
  try {
    const addon = createRequire(import.meta.url)('../../../native/sockets.node') as Addon
    addon.open(arena, events, hear)
    return addon
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Calls back when this turn's events have been heard, or as soon as there is nothing else to do.  There is one caller: wire.ts. */
export function atEndOfTurn(call: () => void): void {
  if (isHearing) whenHeard = call
  else setImmediate(call)
}

/** Takes over a connected socket from which nothing has been read.  Returns its slot; null where that cannot be done: it stays as it is. */
export function adopt(socket: Socket, owner: SocketOwner): number | null {
  const { fd } = (socket as unknown as { _handle: { fd?: number } | null })._handle ?? {}
  if (missing !== null || fd === undefined || fd < 0) return null
  let slot: number
  try {
    slot = native.adopt(fd)
  } catch {
    // No descriptor is left for the copy.
    return null
  }
  owners[slot] = owner
  socket.destroy()
  return slot
}

/** Begins to connect.  Returns a slot, the negative errno, or null for a host's name and where Node must do: it looks names up. */
export function connect(address: EndpointAddress, owner: SocketOwner): number | null {
  if (missing !== null) return null
  const isLocal = 'socket' in address
  if (!isLocal && (isIP(address.host) === 0 || address.host.includes('%'))) return null
  const slot = isLocal ? native.connect(address.socket, 0) : native.connect(address.host, address.port)
  if (slot >= 0) owners[slot] = owner
  return slot
}

export function close(slot: number, isReset: boolean): void {
  owners[slot] = null
  native.close(slot, isReset)
}

/** Memory that malloc has free goes back to the kernel; nothing where the addon is missing. */
export function trimMemory(): void {
  if (missing === null) native.trim()
}

function hear(count: number): void {
  isHearing = true
  const begunMs = performance.now()
  for (let at = 0; at < count * EVENT_INTS; at += EVENT_INTS) {
    const owner = owners[events[at]!]!
    // It was closed by an earlier event.
    if (owner === null) continue
    try {
      tell(owner, at)
    } catch (error) {
      // The other sockets are not to suffer from it.
      process.nextTick(() => {
        throw error
      })
    }
  }
  isHearing = false
  const call = whenHeard
  whenHeard = null
  call?.()
  if (costly.length > 0) slowDown(begunMs)
}

function slowDown(begunMs: number): void {
  const isLong = performance.now() - begunMs > LONG_TURN_MS
  for (const slot of costly) if (isLong && owners[slot] !== null) native.slow(slot)
  costly.length = 0
}

function tell(owner: SocketOwner, at: number): void {
  const kind = events[at + 1]!
  if (kind === DATA) tellData(owner, events[at]!, events[at + 2]!, events[at + 3]!)
  else if (kind === END) owner.peerEnded()
  else if (kind === WRITABLE) owner.writable()
  else owner.failed(events[at + 2]!)
}

function tellData(owner: SocketOwner, slot: number, start: number, end: number): void {
  if (end - start < LARGE_BYTES) {
    owner.data(arena, start, end)
    return
  }
  const begunMs = performance.now()
  owner.data(arena, start, end)
  if (performance.now() - begunMs > COSTLY_MS) costly.push(slot)
}
