// What is measured: the cases by name, the load of each, and what the issue asks of ours.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AUTHORIZATION, type Protocol } from './peer.js'
import { h2loadOutput, type Load, output, ownLoad, type Tools, wrkOutput } from './tools.js'

export type FigureName = 'cpuUs' | 'perSecond' | 'p50Ms' | 'p99Ms' | 'rssMb' | 'mbPerCpuSecond' | 'kbPerConnection'

export interface Aim {
  port: number
  /** What paths begin with. */
  prefix: string
  seconds: number
  directory: string
  tools: Tools
}

export interface Case {
  name: string
  about: string
  protocol: Protocol
  origin: 'own' | 'grpc-js'
  /** Of each message. */
  replyBytes: number
  /** What one request moves, where that is the point. */
  messageBytes: number
  figures: FigureName[]
  /** Those whose ratio the table shows. */
  main: FigureName[]
  /** After so many requests a compiler has seen enough; on a busy machine the warm-up goes on until then. */
  warmUpRequests: number
  /** Connections that are held instead of used; 0: none. */
  idle: number
  load(aim: Aim): Promise<Load>
  /** What the machine lacks for it; null: nothing. */
  lacking?(): string | null
}

const SMALL = 15
const LARGE = 2 ** 20 + 5
const REQUEST = Buffer.from([0, 0, 0, 0, 15, ...Buffer.from('fifteen letters')])
/** One message of 1 MiB, too. */
const LARGE_REQUEST = Buffer.concat([Buffer.from([0, 0, 0x10, 0, 0]), Buffer.alloc(LARGE - 5)])
const THROUGHPUT: FigureName[] = ['cpuUs', 'perSecond', 'p50Ms', 'p99Ms', 'rssMb']

const common = {
  origin: 'own',
  replyBytes: SMALL,
  messageBytes: 0,
  figures: THROUGHPUT,
  main: ['cpuUs'],
  warmUpRequests: 20_000,
  idle: 0,
} satisfies Partial<Case>

function h2load(clients: number, streams: number, body: Buffer, replyBytes: number): Case['load'] {
  return async ({ port, prefix, seconds, directory }) => {
    const file = join(directory, 'body')
    writeFileSync(file, body)
    const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers', '-H', `authorization: ${AUTHORIZATION}`]
    const url = `http://127.0.0.1:${port}${prefix}test.Echo/Unary`
    const ask = (): Promise<string> =>
      output('h2load', ['-D', String(seconds), `-c${clients}`, `-m${streams}`, '-d', file, ...headers, url], seconds)
    const text = await ask()
    if (!/ 0 done,/.test(text)) return h2loadOutput(text, replyBytes)
    // Seen with the origin alone too, on a machine under load: its clock was over before its first request. The second run decides.
    process.stderr.write(`h2load did nothing, once more:\n${text}`)
    return h2loadOutput(await ask(), replyBytes)
  }
}

function own(mode: 'rate' | 'ws', connections: number, rate: number): Case['load'] {
  return async ({ port, prefix, seconds, tools }) => {
    const args = [mode, String(port), `${prefix}test.Echo/Unary`, String(connections), String(seconds), String(rate), AUTHORIZATION]
    return ownLoad(await output(tools.load, args, seconds))
  }
}

async function wrk({ port, prefix, seconds }: Aim): Promise<Load> {
  return wrkOutput(
    await output(
      'wrk',
      [
        '-t1',
        '-c64',
        `-d${seconds}s`,
        '--timeout',
        '10s',
        '--latency',
        '-H',
        `authorization: ${AUTHORIZATION}`,
        `http://127.0.0.1:${port}${prefix}hello`,
      ],
      seconds,
    ),
  )
}

const GRPC_CLIENT = fileURLToPath(new URL('./grpc-client-process.js', import.meta.url))

async function grpcClient({ port, prefix, seconds }: Aim): Promise<Load> {
  return ownLoad(
    await output(process.execPath, [GRPC_CLIENT, JSON.stringify({ port, prefix, seconds, authorization: AUTHORIZATION })], seconds),
  )
}

// Debian's python3-grpcio belongs to Debian's python3, wherever another one stands first in the path.
const PYTHON = '/usr/bin/python3'
const GRPCIO_CLIENT = fileURLToPath(new URL('../../../bench/proxy/grpcio_client.py', import.meta.url))

async function grpcioClient({ port, prefix, seconds }: Aim): Promise<Load> {
  return ownLoad(await output(PYTHON, [GRPCIO_CLIENT, JSON.stringify({ port, prefix, seconds, authorization: AUTHORIZATION })], seconds))
}

function lackingGrpcio(): string | null {
  const { status } = spawnSync(PYTHON, ['-c', 'import grpc'], { stdio: 'ignore' })
  return status === 0 ? null : 'needs grpcio (apt-get install python3-grpcio)'
}

const held = (): Promise<never> => Promise.reject(new Error('an idle case has no load'))

const IDLE: FigureName[] = ['rssMb', 'kbPerConnection']

export const CASES: Case[] = [
  { ...common, name: 'h1', protocol: 'http1', about: 'HTTP/1 keep-alive GET, 15 B, 64 connections (wrk)', load: wrk },
  {
    ...common,
    name: 'h2-8x32',
    protocol: 'h2c',
    about: 'h2c unary POST 20 B, 15 B + trailers, 8 connections × 32 streams (h2load)',
    load: h2load(8, 32, REQUEST, SMALL),
  },
  {
    ...common,
    name: 'h2-32x1',
    protocol: 'h2c',
    about: 'h2c unary POST 20 B, 15 B + trailers, 32 connections × 1 stream (h2load)',
    load: h2load(32, 1, REQUEST, SMALL),
  },
  {
    ...common,
    name: 'h2-rate',
    protocol: 'h2c',
    about: 'the same calls, 2,000 requests/s on schedule over 8 connections; times count from when a call was due',
    main: ['p99Ms', 'cpuUs'],
    load: own('rate', 8, 2000),
  },
  {
    ...common,
    name: 'grpc',
    protocol: 'h2c',
    origin: 'grpc-js',
    about: 'unary calls, grpc-js client (8 channels, 64 under way) and grpc-js server; these two set the pace',
    load: grpcClient,
  },
  {
    ...common,
    name: 'grpcio',
    protocol: 'h2c',
    origin: 'grpc-js',
    about: 'the same with a Python grpcio client (C core)',
    load: grpcioClient,
    lacking: lackingGrpcio,
  },
  {
    ...common,
    name: 'bulk',
    protocol: 'h2c',
    about: 'h2c replies of 1 MiB, 4 connections × 2 streams (h2load)',
    replyBytes: LARGE,
    messageBytes: LARGE,
    warmUpRequests: 500,
    figures: ['mbPerCpuSecond', 'perSecond', 'rssMb'],
    main: ['mbPerCpuSecond'],
    load: h2load(4, 2, REQUEST, LARGE),
  },
  {
    ...common,
    name: 'bulk-up',
    protocol: 'h2c',
    about: 'h2c requests of 1 MiB, 4 connections × 2 streams (h2load)',
    messageBytes: LARGE,
    warmUpRequests: 500,
    figures: ['mbPerCpuSecond', 'perSecond', 'rssMb'],
    main: ['mbPerCpuSecond'],
    load: h2load(4, 2, LARGE_REQUEST, SMALL),
  },
  {
    ...common,
    name: 'ws',
    protocol: 'http1',
    about: 'WebSocket echo of 32 B, 64 connections, one message under way on each',
    load: own('ws', 64, 0),
  },
  {
    ...common,
    name: 'idle-h1',
    protocol: 'http1',
    about: '5,000 idle HTTP/1 connections, each after one request; every round a fresh process',
    figures: IDLE,
    main: ['rssMb'],
    idle: 5000,
    load: held,
  },
  {
    ...common,
    name: 'idle-h2',
    protocol: 'h2c',
    about: '5,000 idle h2c connections, each after one request; every round a fresh process',
    figures: IDLE,
    main: ['rssMb'],
    idle: 5000,
    load: held,
  },
]

export interface Limit {
  case: string
  figure: FigureName
  peer: string
  /** Ours divided by the peer's. */
  bound: { atMost: number } | { atLeast: number }
}

/** Issue 3, "must show", with the access log on. */
export const LIMITS: Limit[] = [
  { case: 'h2-8x32', figure: 'cpuUs', peer: 'nginx', bound: { atMost: 0.55 } },
  { case: 'h2-8x32', figure: 'cpuUs', peer: 'haproxy', bound: { atMost: 1.0 } },
  { case: 'h2-32x1', figure: 'cpuUs', peer: 'nginx', bound: { atMost: 1.0 } },
  { case: 'h2-32x1', figure: 'cpuUs', peer: 'haproxy', bound: { atMost: 1.35 } },
  { case: 'h1', figure: 'cpuUs', peer: 'nginx', bound: { atMost: 1.4 } },
  { case: 'h1', figure: 'cpuUs', peer: 'haproxy', bound: { atMost: 1.2 } },
  { case: 'h1', figure: 'cpuUs', peer: 'http-proxy', bound: { atMost: 0.35 } },
  { case: 'h2-rate', figure: 'p99Ms', peer: 'nginx', bound: { atMost: 1.5 } },
  { case: 'bulk', figure: 'mbPerCpuSecond', peer: 'nginx', bound: { atLeast: 0.9 } },
  { case: 'bulk-up', figure: 'mbPerCpuSecond', peer: 'nginx', bound: { atLeast: 0.9 } },
]
