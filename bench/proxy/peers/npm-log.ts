// What both npm proxies share: their settings, and an access log in the combined format that is written in batches, as ours is.
import { appendFileSync } from 'node:fs'
import type { Protocol } from '../peer.js'

export interface Settings {
  port: number
  originPort: number
  accessLog: string | null
  protocol: Protocol
}

export const settings = (): Settings => JSON.parse(process.argv[2] ?? '') as Settings

const BATCH_BYTES = 65_536
const BATCH_MS = 1000

interface Exchange {
  method?: string | undefined
  url?: string | undefined
  httpVersion: string
  address: string | undefined
  agent: string | undefined
  status: number
}

/** Returns what notes one exchange; null: no log. */
export function accessLog(file: string | null): ((exchange: Exchange) => void) | null {
  if (file === null) return null
  let batch = ''
  const write = (): void => {
    if (batch !== '') appendFileSync(file, batch)
    batch = ''
  }
  setInterval(write, BATCH_MS).unref()
  return ({ method, url, httpVersion, address, agent, status }) => {
    batch += `${address} - - [${new Date().toISOString()}] "${method} ${url} HTTP/${httpVersion}" ${status} - "-" "${agent ?? '-'}"\n`
    if (batch.length > BATCH_BYTES) write()
  }
}

/** `/bench/a` arrives as `/a`. */
export function stripped(url: string): string {
  return url.startsWith('/bench/') ? url.slice('/bench'.length) : url
}
