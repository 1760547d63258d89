// The listening socket of port 6006: bound once in the daemon, which never accepts on it, and handed to every worker.
import { lookup } from 'node:dns/promises'
import * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { AppError } from '../core/error.js'

/** A bound socket as libuv knows it.  It starts to listen when the first worker says so, and goes on listening while any process holds it. */
export interface SocketHandle {
  close(): void
  getsockname(out: { address?: string; port?: number }): number
}

// Node's own cluster module binds with this function; net.createServer cannot: listening there means accepting there.
type CreateHandle = (address: string, port: number, family: 4 | 6) => SocketHandle | number
const createHandle = (net as unknown as { _createServerHandle?: CreateHandle })._createServerHandle

export interface BoundSocket {
  handle: SocketHandle
  host: string
  port: number
}

/** Who listens on a port, in words; null where nobody can be named. */
export type PortHolder = (port: number) => string | null | Promise<string | null>

/** Binds.  port: 0 lets the system choose.  Throws PORT_TAKEN (naming the holder), LISTEN_FAILED. */
export async function bindSocket(listen: { host: string; port: number }, portHolder: PortHolder): Promise<BoundSocket> {
  const where = `${listen.host}:${listen.port}`
  if (createHandle === undefined) throw new AppError('INTERNAL', 'this Node has no net._createServerHandle')
  const { address, family } = await lookup(listen.host).catch((cause: unknown) => {
    throw new AppError('LISTEN_FAILED', `proxy.listen ${where}: the host has no address`, { cause })
  })
  const handle = createHandle(address, listen.port, family === 6 ? 6 : 4)
  if (typeof handle === 'number') throw await refused(handle, { where, port: listen.port }, portHolder)
  const name: { address?: string; port?: number } = {}
  // libuv keeps EADDRINUSE back until the socket is used; asking for its name is the first use.
  const error = handle.getsockname(name)
  if (error === 0) return { handle, host: listen.host, port: name.port ?? listen.port }
  handle.close()
  throw await refused(error, { where, port: listen.port }, portHolder)
}

async function refused(error: number, at: { where: string; port: number }, portHolder: PortHolder): Promise<AppError> {
  const name = getSystemErrorName(error)
  if (name !== 'EADDRINUSE') return new AppError('LISTEN_FAILED', `proxy.listen ${at.where}: ${name}`)
  const holder = await portHolder(at.port)
  return new AppError('PORT_TAKEN', `proxy.listen ${at.where}: the port is held by ${holder ?? 'another process'}`)
}
