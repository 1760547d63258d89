// What `npm run bench -- proxy` can be told, and its help.
import { parseArgs } from 'node:util'

export interface Options {
  json: string | null
  rounds: number
  /** Of each measurement. */
  seconds: number
  quick: boolean
  /** Of the load that is not measured, once per peer and case; on a busy machine it goes on until enough has been seen. */
  warmUpSeconds: number
  /** Empty: all. */
  cases: string[]
  peers: string[]
  logs: ('on' | 'off')[]
}

export const HELP = `usage: npm run bench -- proxy [options]

nginx, HAProxy, Caddy, nghttpx (where installed), http-proxy, http2-proxy and ours, side by side in one run.

  --case NAME    only this case (again or with commas: several): CASES
  --peer NAME    only this peer, beside ours: PEERS
  --log on|off   access logs on for all, or off for all; without it both, one table after the other (idle cases: on only)
  --rounds N     5 unless told otherwise
  --seconds N    whole seconds of each measurement; 2 unless told otherwise
  --quick        1 round of 1 second: does it run, not what does it cost
  --json FILE    everything in numbers, see below
  --help

How: of ours every guard is on, with limits that no load meets; the credentials that it asks for are sent to all. Every peer is warmed up with 20,000 requests (bulk: 500), for 2 to 10 s.
The proxy alone on CPU 0; load and origin (and this program) on CPU 1. Rounds alternate, and another peer comes first in each.
Figures are medians of the rounds. "ours/its" is the median of the same-round ratios. A row with errors (anything but 2xx with grpc-status 0 and
the whole message) has no figure. CPU is utime + stime of all the proxy's processes as the scheduler counts it (/proc/PID/task/*/schedstat, in ns):
nginx master and worker, nghttpx main and worker, of ours the worker only (the daemon's part lives in this program). Memory is VmRSS of the same.
Log files: nginx, http-proxy, http2-proxy and ours write batches, HAProxy, Caddy and nghttpx have no such thing. Load: wrk, h2load, load.c, grpc-js.
noise: how much of CPU 0 others had meanwhile; above a few percent trust the ratios, not the figures.
"origin alone" is the load without any proxy (CPU of the origin): what no proxy can pass.

JSON: { machine, options, results, limits }. results: one per log, case and peer:
  { log, case, peer, figures: { cpuUs, perSecond, p50Ms, p99Ms, rssMb, mbPerCpuSecond, kbPerConnection }, ratios (ours/its, same names),
    errors, requests, lacks, note, rounds: [ { ...figures, errors, requests, seconds, cpuShare, othersShare } ] }
  A figure is null where it does not apply or there were errors. cpuShare: of CPU 0, by the proxy; othersShare: by anything else (noise).
limits: [ { case, figure, peer, bound, ratio, holds } ], with the access log on; holds is null where there is no figure.
Exit code: 0; 1 when a measurement failed or had errors; 2 for wrong usage. Limits do not change it.
`

/** Throws an Error whose message is for the caller.  null: --help. */
export function parseOptions(args: string[], known: { cases: string[]; peers: string[] }): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      case: { type: 'string', multiple: true },
      peer: { type: 'string', multiple: true },
      log: { type: 'string' },
      quick: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return null
  const log = values.log
  if (log !== undefined && log !== 'on' && log !== 'off') throw new Error(`--log ${log}: expected on or off`)
  return {
    json: values.json ?? null,
    rounds: whole('--rounds', values.rounds, values.quick ? 1 : 5),
    seconds: whole('--seconds', values.seconds, values.quick ? 1 : 2),
    quick: values.quick ?? false,
    warmUpSeconds: values.quick ? 1 : 2,
    cases: named('--case', values.case, known.cases),
    peers: named('--peer', values.peer, known.peers),
    logs: log === undefined ? ['on', 'off'] : [log],
  }
}

export function helpText(known: { cases: string[]; peers: string[] }): string {
  return HELP.replace('CASES', known.cases.join(' ')).replace('PEERS', known.peers.join(' '))
}

function whole(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${option} ${text}: expected a whole number from 1 to 9999`)
  return Number(text)
}

function named(option: string, given: string[] = [], known: string[]): string[] {
  const names = given.flatMap(text => text.split(','))
  const unknown = names.find(name => !known.includes(name))
  if (unknown !== undefined) throw new Error(`${option} ${unknown}: there are ${known.join(', ')}`)
  return names
}
