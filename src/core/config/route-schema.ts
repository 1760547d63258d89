// The options of a route: which requests are its, where they go, and what is asked of client and service on the way.
import * as z from 'zod'
import type { RedirectStatus } from '../spec.js'
import { choice, duration, flag, matching, option, options, size, text, texts, whole } from './option.js'
import { networks } from './proxy-schema.js'

/** The bytes a path may have (RFC 3986, section 3.3), between two slashes and without empty parts. */
const PREFIX = /^\/(?:[A-Za-z0-9._~!$&'()*+,;=:@%-]+\/)*$/
const PREFIX_EXPECTED = 'expected a path that starts and ends with "/", such as /web/'
const SERVICE = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/
const HOST_PATTERN = /^(?:(?:\*\.)?[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/i
/** RFC 9110 5.1 and 5.6.2: the characters of a field name. */
export const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/
const HASH_KEY = /^(?:(?:header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+|client_ip)$/
const REDIRECT_TARGET = /^(?:https?:\/\/[^/\s]+)?\/[\x21\x23-\x5b\x5d-\x7e]*$/
const REDIRECT_STATUSES = [301, 302, 303, 307, 308] as const satisfies RedirectStatus[]
const REDIRECT_EXPECTED = 'expected 301, 302, 303, 307 or 308'

const matches = {
  prefix: option(matching(PREFIX, PREFIX_EXPECTED).optional(), {
    text: 'Requests whose path starts so, byte for byte. Of the routes that fit, the longest prefix wins, then the more exact host, then more headers, then the first in the files.',
    type: 'path',
    fallback: 'required, or grpc',
  }),
  grpc: option(matching(SERVICE, 'expected a gRPC service such as package.Service').optional(), {
    text: 'Instead of prefix: the methods of this service, as clients without a prefix call them. It is the prefix /package.Service/ with `strip: false` and h2c.',
    type: 'service',
    fallback: 'none',
  }),
  hosts: option(texts(item => HOST_PATTERN.test(item), 'expected host names such as example.org or *.example.org').prefault([]), {
    text: 'Only requests for these hosts, the port aside; *.example.org is every name below it. None named: any.',
    type: 'list of hosts',
  }),
  headers: option(
    z
      .record(
        z.string(),
        z.string({ error: 'expected text' }).regex(FIELD_VALUE, { error: 'expected printable text without blanks at its ends' }),
        {
          error: 'expected a map of names to values',
        },
      )
      .default({}),
    { text: 'Only requests that have each of these headers with exactly this value.', type: 'map of text', asWritten: true },
  ),
}

const target = {
  to: option(
    z
      .union(
        [
          text('expected a program, an address or a list of addresses'),
          z.array(text('expected an address such as http://host:port')).min(1, { error: 'expected at least one address' }),
        ],
        { error: 'expected a program, an address or a list of addresses' },
      )
      .optional(),
    {
      text: 'A program (its ready instances), or fixed addresses: http://host:port, h2c://host:port, unix:/path.',
      type: 'program, address or list of addresses',
      fallback: 'required, or redirect',
    },
  ),
  redirect: option(
    options({
      to: option(matching(REDIRECT_TARGET, 'expected an address such as https://example.org/web/, or a path'), {
        text: 'Where to. What ends with "/" gets the rest of the path and the query.',
        type: 'address or path',
        fallback: 'required',
      }),
      status: option(z.literal(REDIRECT_STATUSES, { error: REDIRECT_EXPECTED }).default(308), {
        text: '301, 302, 303, 307 or 308.',
        type: 'number',
      }),
    }).optional(),
    { text: 'Instead of to: the client is sent elsewhere.', type: 'map', fallback: 'none' },
  ),
  protocol: option(choice('h2c', 'http1').optional(), {
    text: 'What the service speaks. gRPC is h2c.',
    type: 'h2c or http1',
    fallback: 'as the address says, else http1; with grpc h2c',
  }),
  strip: option(flag().default(true), { text: 'Take the prefix off: /web/a arrives as /a.', type: 'true or false' }),
  rewrite: option(matching(PREFIX, PREFIX_EXPECTED).optional(), {
    text: 'Put this in the place of the prefix: with /v2/, /web/a arrives as /v2/a. Goes before strip.',
    type: 'path',
    fallback: 'none',
  }),
}

const times = {
  hold: option(duration().prefault('30s'), { text: 'How long a request may wait for a ready instance.', type: 'duration' }),
  timeout: option(duration(1).prefault('60s'), {
    text: 'The head of the response must have come within this. For gRPC: a call with no activity this long, whoever’s turn it is, is ended.',
    type: 'duration',
  }),
  connect_timeout: option(duration(1).prefault('5s'), { text: 'A connection to the service must stand within this.', type: 'duration' }),
  idle_timeout: option(duration().prefault('0'), {
    text: 'A request, answer or WebSocket in which nothing moves either way for this long is ended; 0: never (gRPC: timeout).',
    type: 'duration',
  }),
  total_timeout: option(duration().prefault('0'), {
    text: 'The longest a request may take from its head to the last byte of its answer; 0: no limit.',
    type: 'duration',
  }),
}

const choices = {
  balance: option(choice('round_robin', 'least_requests', 'hash').default('round_robin'), {
    text: 'Which instance gets the next request: in turn by weight; of two picked at random the less busy one, where a request at a clearly slower one counts as more; or always the same for the same hash_key.',
    type: 'round_robin, least_requests or hash',
  }),
  hash_key: option(matching(HASH_KEY, 'expected header:NAME, cookie:NAME or client_ip').default('client_ip'), {
    text: 'What hash looks at: header:NAME, cookie:NAME or client_ip. A request without it is given out in turn.',
    type: 'text',
  }),
  weights: option(z.array(whole(1, 1000), { error: 'expected a list of numbers from 1 to 1000' }).default([]), {
    text: 'Shares, in the order of the addresses or instances; where there are too few, 1.',
    type: 'list of numbers',
  }),
  retry: option(
    options({
      statuses: option(z.array(whole(400, 599), { error: 'expected a list of statuses from 400 to 599' }).default([]), {
        text: 'HTTP statuses of answers that are not passed on.',
        type: 'list of numbers',
      }),
      grpc_statuses: option(z.array(whole(1, 16), { error: 'expected a list of gRPC statuses from 1 to 16' }).default([]), {
        text: 'gRPC statuses of calls that failed before their answer began.',
        type: 'list of numbers',
      }),
      count: option(whole(1, 10).default(1), { text: 'How often.', type: 'number' }),
    })
      .check(context => {
        if (context.issues.length > 0 || context.value.statuses.length + context.value.grpc_statuses.length > 0) return
        context.issues.push({ code: 'custom', input: context.value, message: 'names no status; expected statuses, grpc_statuses or both' })
      })
      .optional(),
    {
      text: 'Ask another instance when the answer has one of these statuses. Only for requests of idempotent methods and for gRPC calls, while no more than 64 KB of them have been sent, and for at most a fifth of the requests (ten per second are always allowed). `grpc-retry-pushback-ms` is heeded. What never left the proxy is always repeated.',
      type: 'map',
      fallback: 'none',
    },
  ),
}

const TOKEN = /^[\x21-\x2b\x2d-\x7e]+$/
const REALM = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/

const guards = {
  auth: option(
    options({
      bearer: option(texts(item => TOKEN.test(item), 'expected tokens of printable characters without blanks and commas').optional(), {
        text: 'Tokens, each of which opens the route as `Authorization: Bearer TOKEN`. Never shown.',
        type: 'list of text',
        fallback: 'none',
        asWritten: true,
        secret: true,
      }),
      basic: option(
        z
          .record(z.string(), z.string({ error: 'expected a password' }).min(1, { error: 'expected a password' }), {
            error: 'expected a map of users to passwords',
          })
          .optional(),
        {
          text: 'Users and their passwords. Passwords are never shown.',
          type: 'map of text',
          fallback: 'none',
          asWritten: true,
          secret: true,
        },
      ),
      realm: option(matching(REALM, 'expected plain text without quotes').default('autodl-guard'), {
        text: 'What a browser shows when it asks.',
        type: 'text',
      }),
    })
      .check(context => {
        if (context.issues.length > 0) return
        const { bearer, basic } = context.value
        const kinds = Number(bearer !== undefined) + Number(basic !== undefined)
        const none = bearer?.length === 0 || (basic !== undefined && Object.keys(basic).length === 0)
        if (kinds === 1 && !none) return
        const found = kinds === 1 ? 'opens for nobody' : kinds === 0 ? 'has no kind' : 'has both kinds'
        context.issues.push({ code: 'custom', input: context.value, message: `${found}; expected bearer with tokens, or basic with users` })
      })
      .optional(),
    { text: 'Who may ask; others get 401, gRPC 16. The service gets no Authorization then.', type: 'map', fallback: 'none' },
  ),
  allow: option(networks().prefault([]), {
    text: 'Only these clients, where any are named; as well as what the proxy’s own lists say.',
    type: 'list of addresses and networks',
  }),
  deny: option(networks().prefault([]), { text: 'Not these clients.', type: 'list of addresses and networks' }),
  rate_limit: option(
    options({
      requests: option(whole(1, 1_000_000_000), { text: 'So many …', type: 'number', fallback: 'required' }),
      per: option(duration(1).prefault('1s'), { text: '… in this time, on average.', type: 'duration' }),
      burst: option(whole(1, 1_000_000_000).optional(), {
        text: 'So many at once after a pause.',
        type: 'number',
        fallback: 'as requests',
      }),
    }).optional(),
    { text: 'Requests of one client, per worker; more get 429, gRPC 8.', type: 'map', fallback: 'none' },
  ),
  max_body_bytes: option(size().prefault('0'), {
    text: 'The largest request body; of a gRPC call each message, as it is sent; 0: no limit. Bodies stream through little memory, whatever their size; a limit is for the service’s sake.',
    type: 'size',
  }),
  max_connections_per_endpoint: option(whole(0, 100_000).default(1000), {
    text: 'HTTP/1 connections to one instance, per worker; more requests wait. 0: no limit.',
    type: 'number',
  }),
}

const forms = {
  compression: option(flag().optional(), { text: 'Compress answers.', type: 'true or false', fallback: 'as proxy.compression' }),
  grpc_web: option(flag().default(true), { text: 'Translate gRPC-Web (browsers) to gRPC.', type: 'true or false' }),
}

export const routeSchema = options({ ...matches, ...target, ...times, ...choices, ...guards, ...forms })

export type RouteOptions = z.output<typeof routeSchema>
