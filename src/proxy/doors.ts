// The listening sockets of a proxy, bound in the daemon: the plain door, and the one for TLS where it is wanted.
import { AppError } from '../core/error.js'
import type { ProxySpec } from '../core/spec.js'
import { type BoundSocket, bindSocket, type PortHolder } from './socket.js'

export interface Doors {
  plain: BoundSocket
  tls: BoundSocket | null
}

/** Binds what the settings name; a socket that an earlier binding has for the same address is taken over.
 *  On an error nothing new stays bound.  Throws PORT_TAKEN, LISTEN_FAILED, TLS_UNREADABLE. */
export async function bindDoors(spec: ProxySpec, portHolder: PortHolder, earlier?: { doors: Doors; spec: ProxySpec }): Promise<Doors> {
  if (spec.listen === null) throw new AppError('INTERNAL', 'a proxy without proxy.listen')
  // Before anything is bound: the workers would find out too late to refuse the settings.
  if (spec.tls !== null) await import('./certificate.js').then(({ readCertificate }) => readCertificate(spec.tls!))
  const bind = (listen: Address, kept: BoundSocket | null | undefined, keptFor: Address | null | undefined) =>
    kept && keptFor?.host === listen.host && keptFor.port === listen.port ? Promise.resolve(kept) : bindSocket(listen, portHolder)
  const plain = await bind(spec.listen, earlier?.doors.plain, earlier?.spec.listen)
  if (spec.tls === null) return { plain, tls: null }
  try {
    return { plain, tls: await bind(spec.tls.listen, earlier?.doors.tls, earlier?.spec.tls?.listen) }
  } catch (error) {
    if (plain !== earlier?.doors.plain) plain.handle.close()
    throw error
  }
}

interface Address {
  host: string
  port: number
}

/** Closes the sockets that the other binding does not share. */
export function closeDoors(doors: Doors, but?: Doors): void {
  if (doors.plain !== but?.plain) doors.plain.handle.close()
  if (doors.tls !== null && doors.tls !== but?.tls) doors.tls.handle.close()
}
