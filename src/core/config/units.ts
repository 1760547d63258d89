// Durations, sizes, signals, addresses and masks as people write them.
import type { EndpointAddress, SignalName } from '../spec.js'

/** The longest duration an option may have: what setTimeout can hold is 24.8 days. */
export const DURATION_MAX_MS = 24 * 86_400_000

const DURATION_UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `10s`, `250ms`, `1m30s`, `5m`, `1h`, `1d`, or seconds without a unit, as supervisord counts. */
export const DURATION_PATTERN = /^(?:\d+(?:\.\d+)?|(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)$/

/** ms, rounded; null where the text is no duration.  Throws nothing. */
export function parseDuration(value: string | number): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? Math.round(value * 1000) : null
  if (!DURATION_PATTERN.test(value)) return null
  if (!/[a-z]/.test(value)) return Math.round(Number(value) * 1000)
  let ms = 0
  for (const [, count, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) ms += Number(count) * DURATION_UNITS[unit!]!
  return Math.round(ms)
}

/** The shortest way to write a duration. */
export function showDuration(ms: number): string {
  for (const [unit, factor] of Object.entries(DURATION_UNITS).reverse()) {
    if (ms !== 0 && ms % factor === 0) return `${ms / factor}${unit}`
  }
  return '0'
}

const SIZE_UNITS: Record<string, number> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }

/** `50MB`, `64KB`, `1GB`, `2TB`, or bytes without a unit; 1 KB is 1024 bytes, as supervisord counts. */
export const SIZE_PATTERN = /^(\d+)(?:([KMGTkmgt])[Bb]|[Bb])?$/

/** Bytes; null where the text is no size.  Throws nothing. */
export function parseSize(value: string | number): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null
  const match = SIZE_PATTERN.exec(value)
  if (match === null) return null
  const bytes = Number(match[1]) * SIZE_UNITS[(match[2] ?? '').toUpperCase()]!
  return Number.isSafeInteger(bytes) ? bytes : null
}

export const SIGNALS = ['TERM', 'HUP', 'INT', 'QUIT', 'KILL', 'USR1', 'USR2', 'CONT', 'STOP'] as const satisfies SignalName[]

/** `TERM`, `SIGTERM` or `term`; null where the text is no signal.  Throws nothing. */
export function parseSignal(text: string): SignalName | null {
  const name = text.toUpperCase().replace(/^SIG/, '')
  return SIGNALS.find(signal => signal === name) ?? null
}

/** A mask as umask(1) takes it: octal digits, `022`, `0o22` or `22`; null where the text is none.  Throws nothing. */
export function parseUmask(text: string): number | null {
  return /^(?:0o)?[0-7]{1,4}$/.test(text) && Number.parseInt(text.replace('0o', ''), 8) <= 0o777
    ? Number.parseInt(text.replace('0o', ''), 8)
    : null
}

export const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/

/** `0.0.0.0:6006`, `[::1]:6006`, `localhost:0` (port 0: any free one); null where the text is no such address.  Throws nothing. */
export function parseListen(text: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  if (match === null || !HOST.test(host) || Number(match[3]) > 65_535) return null
  return { host, port: Number(match[3]) }
}

export interface Url {
  protocol: 'h2c' | 'http1'
  /** False for unix:, which speaks either. */
  protocolIsSaid: boolean
  address: EndpointAddress
}

/** `http://host[:80]`, `h2c://host[:80]` or `unix:/path`; what is wrong in words where it is none of these.  Throws nothing. */
export function parseUrl(text: string): Url | { error: string } {
  const unix = /^unix:(?:\/\/)?(\/[^\0]+)$/.exec(text)
  if (unix !== null) return { protocol: 'http1', protocolIsSaid: false, address: { socket: unix[1]! } }
  if (/^(?:https|h2|grpcs|wss):/.test(text)) return { error: 'TLS to a service is not spoken here; expected http://, h2c:// or unix:' }
  const match = /^(http|h2c):\/\/(?:\[([0-9A-Fa-f:.]+)\]|([^/:@[\]]+))(?::(\d{1,5}))?(\/.*)?$/.exec(text)
  const host = match?.[2] ?? match?.[3] ?? ''
  const port = Number(match?.[4] ?? 80)
  if (match === null || !HOST.test(host) || port < 1 || port > 65_535)
    return { error: 'expected http://host:port, h2c://host:port or unix:/path' }
  if (match[5] !== undefined && match[5] !== '/')
    return { error: 'an address has no path; expected http://host:port, h2c://host:port or unix:/path' }
  return { protocol: match[1] === 'h2c' ? 'h2c' : 'http1', protocolIsSaid: true, address: { host, port } }
}
