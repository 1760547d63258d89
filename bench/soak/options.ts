// What `npm run bench -- soak` can be told, and its help.
import { parseArgs } from 'node:util'

export interface Options {
  minutes: number
  /** Requests per second, all kinds together. */
  rate: number
  json: string | null
  heap: 'watched' | 'unwatched'
}

export const HELP = `usage: npm run bench -- soak [options]

One worker of ours under mixed traffic while its services die, retire and come back. Is it the same afterwards?

  --minutes N   how long the load lasts; 1 unless told otherwise (fractions are taken)
  --rate N      requests a second, all kinds together; 300 unless told otherwise
  --heap        the worker's V8 heap and buffers are told every second too (a module is loaded into it)
  --json FILE   everything in numbers: options, samples, failures, verdict
  --help

Traffic: HTTP/1 over kept and over short connections, uploads, HTTP/2, gRPC calls and streams in both directions, WebSocket, slow readers;
cancels over all three; clients that leave and come back every 2 seconds. Both client protocols reach both service protocols.
Trouble: of three service processes one is killed (kill -9) or retired (out of the table, then GOAWAY and a polite end) every few seconds and comes
back, now and then on another port; services say GOAWAY by themselves; the table changes its weights every 3 seconds.
Every answer must have all its bytes. A request that began before a kill and lost its service is "in flight at a kill"; every other failure is
unexplained, also UPSTREAM_UNREACHABLE: what was never sent must have gone elsewhere.
Watched every second: VmRSS, open files and connections of the worker. The slope is a line through VmRSS after the first quarter (5 minutes at most).
Afterwards every client leaves, then every service: the worker must have as many open files as before its first request, and no more memory than
VmRSS at the end of the first quarter and 15 %.

Exit code: 0; 1 when files stay open, memory stays, the worker had a fault, or a failure is unexplained; 2 for wrong usage.
`

/** Throws an Error whose message is for the caller.  null: --help. */
export function parseOptions(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: 'string' },
      rate: { type: 'string' },
      json: { type: 'string' },
      heap: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return null
  return {
    minutes: within('--minutes', values.minutes, 1, { least: 0.1, most: 10_000 }),
    rate: within('--rate', values.rate, 300, { least: 10, most: 5000 }),
    json: values.json ?? null,
    heap: values.heap ? 'watched' : 'unwatched',
  }
}

function within(option: string, text: string | undefined, otherwise: number, { least, most }: { least: number; most: number }): number {
  if (text === undefined) return otherwise
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= least && number <= most)) throw new Error(`${option} ${text}: expected a number from ${least} to ${most}`)
  return number
}
