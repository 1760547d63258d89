// The certificate of the TLS door: read again when its files change, without a connection lost; a broken new one leaves the old one in use.
import { readFileSync, type Stats, unwatchFile, watchFile } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { AppError } from '../core/error.js'
import type { TlsSpec } from '../core/spec.js'

// Renewals replace two files one after the other, sometimes by links: looking beats inotify here.
const LOOK_MS = 1000

export class Certificate {
  /** For the next connection. */
  context: SecureContext
  private readonly spec: TlsSpec
  private readonly log: (level: 'info' | 'warn', message: string) => void
  private readonly look = (now: Stats, before: Stats) => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) this.renew()
  }

  /** Throws TLS_UNREADABLE. */
  constructor(spec: TlsSpec, log: (level: 'info' | 'warn', message: string) => void) {
    this.spec = spec
    this.log = log
    this.context = readCertificate(spec)
    for (const file of [spec.certificate, spec.key]) watchFile(file, { interval: LOOK_MS, persistent: false }, this.look)
  }

  close(): void {
    for (const file of [this.spec.certificate, this.spec.key]) unwatchFile(file, this.look)
  }

  private renew(): void {
    try {
      this.context = readCertificate(this.spec)
      this.log('info', `TLS certificate ${this.spec.certificate} was read again`)
    } catch (error) {
      // Also the moment between the two files' renewals: the second one's change reads again.
      this.log('warn', `the TLS certificate stays as it was: ${error instanceof Error ? error.message : error}`)
    }
  }
}

/** Throws TLS_UNREADABLE where the files cannot be read or do not belong together. */
export function readCertificate({ certificate, key }: TlsSpec): SecureContext {
  try {
    return createSecureContext({ cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.2' })
  } catch (cause) {
    throw new AppError('TLS_UNREADABLE', `certificate ${certificate}, key ${key}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}
