// The Forwarded header (RFC 7239): one element per hop, written and read.

/** `for=10.0.0.1;host="example.org:6006";proto=https`.  client: an address, or anything else, which becomes `unknown`.  authority: '' leaves `host` out. */
export function forwardedElement(hop: { client: string; authority: string; scheme: string }): string {
  const host = hop.authority === '' ? '' : `host=${forwardedValue(hop.authority)};`
  return `for=${forwardedNode(hop.client)};${host}proto=${forwardedValue(hop.scheme)}`
}

/** An IPv6 address goes into brackets and quotes (RFC 7239 6); a zone would break its grammar and is left out. */
function forwardedNode(client: string): string {
  if (!client.includes(':')) return client === '' ? 'unknown' : forwardedValue(client)
  const zone = client.indexOf('%')
  return `"[${zone === -1 ? client : client.slice(0, zone)}]"`
}

/** A token as it is, everything else as a quoted string (RFC 9110 5.6.2, 5.6.4). */
function forwardedValue(value: string): string {
  return TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** The `for` of each element, in order, without brackets and port; '' where an element has none or cannot be read.
 *  value: of a Forwarded field, several joined with commas.  Throws nothing. */
export function forwardedClients(value: string): string[] {
  // A quote that a client leaves open would swallow what honest hops put behind it: commas separate then, whatever the quotes say.
  const elements = splitOutsideQuotes(value, ',') ?? value.split(',')
  return elements.map(element => {
    for (const pair of splitOutsideQuotes(element, ';') ?? []) {
      const match = FOR.exec(pair.trim())
      if (match !== null) return nodeAddress(unquoted(match[1]!))
    }
    return ''
  })
}

const FOR = /^for=("(?:[^"\\]|\\.)*"|[^;,\s"]+)$/i

/** A node without its port: `[2001:db8::1]:4711`, `192.0.2.1:80`, `192.0.2.1`, `_hidden`. */
export function nodeAddress(node: string): string {
  if (node.startsWith('[')) {
    const end = node.indexOf(']')
    return end === -1 ? '' : node.slice(1, end)
  }
  const colon = node.indexOf(':')
  // Two colons without brackets are an IPv6 address, as X-Forwarded-For has it.
  return colon === -1 || colon !== node.lastIndexOf(':') ? node : node.slice(0, colon)
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
}

/** null where a quote is left open. */
function splitOutsideQuotes(value: string, separator: ',' | ';'): string[] | null {
  if (!value.includes('"')) return value.split(separator)
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < value.length; at++) {
    const char = value[at]
    if (isQuoted && char === '\\') at++
    else if (char === '"') isQuoted = !isQuoted
    else if (char === separator && !isQuoted) {
      parts.push(value.slice(start, at))
      start = at + 1
    }
  }
  if (isQuoted) return null
  parts.push(value.slice(start))
  return parts
}
