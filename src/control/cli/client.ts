// One request to the daemon over its unix socket.
import { type IncomingMessage, request } from 'node:http'
import { ERRORS, type ErrorCode } from '../../core/error.js'
import { type RemoteCommand, routeOf } from '../command-table.js'
import { shortSocketPath } from '../socket-path.js'
import { Failure } from './failure.js'

export type Params = Record<string, string | number | readonly string[]>

/** The answer of a command that ends at once, as JSON.  Throws Failure: the daemon's own, or that there is none. */
export async function ask<T>(socket: string, command: RemoteCommand, params: Params): Promise<T> {
  const reply = await send(socket, command, params)
  return JSON.parse(await textOf(reply)) as T
}

/** The bytes of an answer that may go on; they break off with ECONNRESET where the daemon goes.  Throws Failure. */
export function openStream(socket: string, command: RemoteCommand, params: Params, signal: AbortSignal): Promise<IncomingMessage> {
  return send(socket, command, params, signal)
}

async function send(socket: string, command: RemoteCommand, params: Params, signal?: AbortSignal): Promise<IncomingMessage> {
  const reply = await connectAndSend(socket, command, params, signal)
  if (reply.statusCode === 200) return reply
  const { code, message, hint } = errorIn(await textOf(reply), reply.statusCode)
  // To supervisorctl a configuration that cannot be reread is a failure like others (1); only `check` and the daemon's start say 2.
  const exit = code === 'CONFIG_INVALID' ? 1 : ERRORS[code].exit
  throw new Failure(code, `ERROR: ${message}`, { exit, hint, text: message })
}

function connectAndSend(socket: string, command: RemoteCommand, params: Params, signal?: AbortSignal): Promise<IncomingMessage> {
  const { method, path } = routeOf(command)
  const body = method === 'POST' ? JSON.stringify(params) : null
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(noConnection(error as NodeJS.ErrnoException, socket))
    let short: ReturnType<typeof shortSocketPath>
    try {
      short = shortSocketPath(socket)
    } catch (error) {
      fail(error)
      return
    }
    const outgoing = request({
      socketPath: short.path,
      method,
      path: method === 'GET' ? path + queryOf(params) : path,
      headers: {
        host: 'autodl-guard',
        ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      agent: false,
      ...(signal ? { signal } : {}),
    })
    outgoing.once('close', () => short.release())
    outgoing.once('response', resolve)
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}

function queryOf(params: Params): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    for (const each of typeof value === 'object' ? value : [String(value)]) query.append(name, each)
  }
  return query.size === 0 ? '' : `?${query}`
}

// supervisorctl's lines and exit codes: 7 without a socket file, 4 where nobody listens or we may not.
function noConnection(error: NodeJS.ErrnoException, socket: string): unknown {
  const url = `unix://${socket}`
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return new Failure('DAEMON_NOT_RUNNING', `${url} no such file`)
  if (error.code === 'ECONNREFUSED') return new Failure('DAEMON_NOT_RUNNING', `${url} refused connection`, { exit: 4 })
  if (error.code === 'EACCES') {
    return new Failure('DAEMON_NOT_RUNNING', `${url} permission denied`, {
      exit: 4,
      hint: 'ask as the user the daemon runs as, or as root',
    })
  }
  if (error.name === 'AbortError') return error
  return new Failure('DAEMON_NOT_RUNNING', `${url} broke off (${error.code ?? error.message})`)
}

async function textOf(reply: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of reply) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

function errorIn(text: string, status: number | undefined): { code: ErrorCode; message: string; hint: string } {
  try {
    const { code, message, hint } = JSON.parse(text) as { code: string; message: string; hint: string }
    if (Object.hasOwn(ERRORS, code)) return { code: code as ErrorCode, message, hint }
  } catch {
    // Not from our daemon: said below.
  }
  return {
    code: 'INTERNAL',
    message: `an answer guardctl does not understand (HTTP ${status})`,
    hint: 'is this the socket of autodl-guard?',
  }
}
