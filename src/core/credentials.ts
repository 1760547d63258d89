// Bearer tokens and basic users of a route: whether an Authorization field opens it.
import type { AuthSpec } from './spec.js'

/** Compiled once per table; holds secrets. */
export interface Credentials {
  /** Lower case, with the blank: `bearer `, `basic `. */
  readonly scheme: string
  /** What may stand after the scheme. */
  readonly accepted: readonly string[]
  /** For WWW-Authenticate. */
  readonly challenge: string
}

export function credentialsOf(auth: AuthSpec): Credentials {
  if (auth.kind === 'bearer') return { scheme: 'bearer ', accepted: auth.tokens, challenge: `Bearer realm="${auth.realm}"` }
  const accepted = auth.users.map(({ name, password }) => base64(`${name}:${password}`))
  return { scheme: 'basic ', accepted, challenge: `Basic realm="${auth.realm}", charset="UTF-8"` }
}

/** authorization: the field's value; undefined where there is none.  `missing`: none, or another scheme.
 *  The time it takes tells nothing about a secret but its length: every one is compared to its end.  Source: RFC 9110 11.6.2, RFC 7617, RFC 6750. */
export function checkCredentials(credentials: Credentials, authorization: string | undefined): 'ok' | 'missing' | 'wrong' {
  const { scheme, accepted } = credentials
  if (authorization === undefined || authorization.slice(0, scheme.length).toLowerCase() !== scheme) return 'missing'
  const given = authorization.slice(scheme.length).trim()
  if (given.length > GIVEN_MAX) return 'wrong'
  let isRight = 0
  for (const secret of accepted) isRight |= sameText(given, secret)
  return isRight === 1 ? 'ok' : 'wrong'
}

const GIVEN_MAX = 8192

/** 1 where both are the same, else 0, after as many steps as `given` has characters. */
function sameText(given: string, secret: string): 0 | 1 {
  let different = given.length ^ secret.length
  for (let at = 0; at < given.length; at++) different |= given.charCodeAt(at) ^ (at < secret.length ? secret.charCodeAt(at) : 0x100)
  return different === 0 ? 1 : 0
}

/** Of the text's UTF-8 bytes. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}
