// The control socket: every route of the command table on a unix socket only its owner can open.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { AppError, ERRORS } from '../core/error.js'
import type { Guard } from '../guard.js'
import { COMMANDS, commandNames, type RemoteCommand, routeOf } from './command-table.js'
import { EventFeed } from './event-feed.js'
import { type Params, paramsReader } from './params.js'
import { REPLIES, type ReplyCommand } from './replies.js'
import { listenAt } from './socket.js'
import { eventsReply, logsReply, maintailReply, type StreamReply, tailReply } from './streams.js'

const BODY_LIMIT_BYTES = 65_536
/** Names stand in the query of a GET: room for the longest list a shell pattern makes. */
const HEAD_LIMIT_BYTES = 65_536
const REQUEST_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 256
/** How long answers that are on their way may take when the socket closes. */
const CLOSE_GRACE_MS = 500

export interface ControlServer {
  /** Ends every stream, lets answers on their way go out, and takes the socket away.  Resolves when nothing is left. */
  close(): Promise<void>
}

/** Serves a guard's commands at a unix socket.  socketPath: absolute, in a directory that exists, of any length.
 *  Throws DAEMON_ALREADY_RUNNING, SOCKET_FAILED. */
export async function serveControl(guard: Guard, options: { socketPath: string }): Promise<ControlServer> {
  const feed = new EventFeed(guard)
  const streams = new Set<AbortController>()
  const app = buildControl({ guard, feed, streams })
  try {
    await app.ready()
    app.server.maxConnections = MAX_CONNECTIONS
    const release = await listenAt(app.server, options.socketPath)
    let closing: Promise<void> | null = null
    return {
      close: () => {
        closing ??= close({ app, feed, streams, release })
        return closing
      },
    }
  } catch (error) {
    feed.close()
    await app.close()
    throw error
  }
}

interface Room {
  guard: Guard
  feed: EventFeed
  /** One per reply that goes on; aborted when its reader leaves or the server closes. */
  streams: Set<AbortController>
}

function buildControl(room: Room): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { maxHeaderSize: HEAD_LIMIT_BYTES },
    forceCloseConnections: 'idle',
    // A route's name is the whole of it: no second spelling.
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false },
    frameworkErrors: (error, _request, reply) => sendError(error, reply as unknown as FastifyReply),
  })
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, _request, reply) => sendError(error, reply))
  app.setNotFoundHandler((request, reply) =>
    sendError(new AppError('USAGE', `no such route: ${request.method} ${pathOf(request)}`), reply, 404),
  )
  for (const name of commandNames()) if (COMMANDS[name].http !== null) addRoute(app, room, name as RemoteCommand)
  return app
}

function addRoute(app: FastifyInstance, room: Room, name: RemoteCommand): void {
  const { method, path, takes } = routeOf(name)
  const read = paramsReader(takes)
  app.route({
    method,
    url: path,
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const params = read(method === 'GET' ? request.query : request.body)
      if (isReply(name)) return reply.send(await answer(name, room.guard, params))
      return sendStream(reply, room.streams, signal => openStream(name, room, params, signal))
    },
  })
}

function isReply(name: RemoteCommand): name is ReplyCommand {
  return Object.hasOwn(REPLIES, name)
}

// params were read with this very command's schema.
function answer(name: ReplyCommand, guard: Guard, params: unknown): unknown {
  return (REPLIES[name] as (guard: Guard, params: unknown) => unknown)(guard, params)
}

async function openStream(
  name: Exclude<RemoteCommand, ReplyCommand>,
  { guard, feed }: Room,
  params: unknown,
  signal: AbortSignal,
): Promise<StreamReply> {
  switch (name) {
    case 'tail':
      return tailReply(guard, params as Params<'tail'>, signal)
    case 'maintail':
      return maintailReply(guard, params as Params<'maintail'>, signal)
    case 'logs':
      return logsReply(guard, params as Params<'logs'>, signal)
    case 'events':
      return eventsReply(feed, params as Params<'events'>, signal)
    default:
      return name satisfies never
  }
}

// Errors before the first byte are answers; after it the connection breaks off, which a chunked reply's reader notices.
async function sendStream(
  reply: FastifyReply,
  streams: Set<AbortController>,
  open: (signal: AbortSignal) => Promise<StreamReply>,
): Promise<void> {
  const ended = new AbortController()
  streams.add(ended)
  reply.raw.once('close', () => {
    streams.delete(ended)
    ended.abort()
  })
  const stream = await open(ended.signal)
  reply.hijack()
  reply.raw.writeHead(200, { 'content-type': stream.type, 'cache-control': 'no-store' })
  // The head says that following has begun; the first byte may be hours away.
  reply.raw.flushHeaders()
  try {
    await pipeline(Readable.from(stream.body, { objectMode: true, highWaterMark: 1 }), reply.raw)
  } catch {
    // The reader left, or the log could not be read on: either way nobody can be told in this reply any more.
    reply.raw.destroy()
  }
}

function sendError(error: unknown, reply: FastifyReply, status?: number): FastifyReply {
  const { code, message, http } = errorFacts(error)
  return reply.code(status ?? http).send({ code, message, hint: ERRORS[code].hint })
}

function errorFacts(error: unknown): { code: keyof typeof ERRORS; message: string; http: number } {
  if (error instanceof AppError) return { code: error.code, message: error.message, http: error.row.http }
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  // What fastify refuses (bad JSON, too long, another media type) is the caller's; its statuses say more than 400.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return { code: 'USAGE', message: message ?? '', http: statusCode }
  return { code: 'INTERNAL', message: message ?? String(error), http: 500 }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]!.slice(0, 200)
}

async function close(control: { app: FastifyInstance; feed: EventFeed; streams: Set<AbortController>; release(): void }): Promise<void> {
  control.release()
  control.feed.close()
  for (const stream of control.streams) stream.abort()
  const { server } = control.app
  const force = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
  const closed = server.listening ? once(server, 'close') : null
  await control.app.close()
  await closed
  clearTimeout(force)
}
