// IP addresses and networks as four 32-bit words; IPv4 is its IPv4-mapped IPv6 address, so that one comparison serves both families.

/** 128 bits, most significant word first; each word is an unsigned 32-bit number. */
export interface Address {
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

export interface Network {
  readonly address: Address
  readonly mask: Address
}

/** `10.0.0.1`, `::1`, `fe80::1%eth0` (the zone is left out), `::ffff:10.0.0.1` (equal to `10.0.0.1`).  Octets and groups are read strictly: no octal,
 *  no leading zeros in octets, at most four digits in a group.  Returns null where the text is no address.  Throws nothing.  Source: RFC 4291 2.2. */
export function parseAddress(text: string): Address | null {
  if (text.includes(':')) return parseV6(text)
  const d = parseV4(text)
  return d === null ? null : { a: 0, b: 0, c: MAPPED, d }
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address.  Bits beyond the prefix length are ignored.  Returns null where the text is none.  Throws nothing. */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf('/')
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash))
  if (address === null || (slash !== -1 && text.includes('%'))) return null
  const most = text.includes(':') ? 128 : 32
  const length = slash === -1 ? most : prefixLength(text.slice(slash + 1), most)
  if (length === null) return null
  const bits = length + 128 - most
  const mask = { a: maskWord(bits), b: maskWord(bits - 32), c: maskWord(bits - 64), d: maskWord(bits - 96) }
  return { address, mask }
}

export function inNetwork(network: Network, { a, b, c, d }: Address): boolean {
  const { address, mask } = network
  return (
    ((address.d ^ d) & mask.d) === 0 &&
    ((address.c ^ c) & mask.c) === 0 &&
    ((address.b ^ b) & mask.b) === 0 &&
    ((address.a ^ a) & mask.a) === 0
  )
}

/** Who may come in: compiled once per table or worker. */
export interface AccessRules {
  readonly allow: readonly Network[]
  readonly deny: readonly Network[]
}

/** lists: checked by the configuration; what is no network is left out of `deny` and makes `allow` let nobody in through it. */
export function accessRules(lists: { allow: readonly string[]; deny: readonly string[] }): AccessRules | null {
  if (lists.allow.length === 0 && lists.deny.length === 0) return null
  const networks = (list: readonly string[]) => list.map(parseNetwork)
  return { allow: networks(lists.allow).map(network => network ?? NOBODY), deny: networks(lists.deny).filter(network => network !== null) }
}

// An address nobody has with a full mask: the IPv6 unspecified address.
const NOBODY: Network = {
  address: { a: 0, b: 0, c: 0, d: 0 },
  mask: { a: 0xffff_ffff, b: 0xffff_ffff, c: 0xffff_ffff, d: 0xffff_ffff },
}

/** May this address come in?  rules null: everybody.  address null (a unix socket, nonsense in X-Forwarded-For): only where no list speaks of addresses.
 *  `deny` wins over `allow`. */
export function isAllowed(rules: AccessRules | null, address: Address | null): boolean {
  if (rules === null) return true
  if (address === null) return false
  for (const network of rules.deny) if (inNetwork(network, address)) return false
  if (rules.allow.length === 0) return true
  for (const network of rules.allow) if (inNetwork(network, address)) return true
  return false
}

const MAPPED = 0xffff

function prefixLength(text: string, most: number): number | null {
  if (!/^(?:0|[1-9]\d{0,2})$/.test(text)) return null
  const length = Number(text)
  return length <= most ? length : null
}

/** The mask of one word, of which `bits` leading bits count; below 0 none, above 32 all. */
function maskWord(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0
}

function parseV4(text: string): number | null {
  const match = V4.exec(text)
  if (match === null) return null
  let value = 0
  for (let at = 1; at <= 4; at++) {
    const octet = Number(match[at])
    if (octet > 255) return null
    value = value * 256 + octet
  }
  return value
}

const OCTET = '(0|[1-9]\\d{0,2})'
const V4 = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`)

function parseV6(text: string): Address | null {
  const zone = text.indexOf('%')
  const plain = zone === -1 ? text : text.slice(0, zone)
  if (zone === text.length - 1) return null
  const gap = plain.indexOf('::')
  if (gap !== plain.lastIndexOf('::')) return null
  const head = groupsOf(gap === -1 ? plain : plain.slice(0, gap), gap === -1 ? 'last' : 'first')
  const tail = gap === -1 ? [] : groupsOf(plain.slice(gap + 2), 'last')
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (gap === -1 ? missing !== 0 : missing < 1) return null
  const all = [...head, ...Array<number>(missing).fill(0), ...tail]
  const word = (at: number) => all[at]! * 65_536 + all[at + 1]!
  return { a: word(0), b: word(2), c: word(4), d: word(6) }
}

/** The 16-bit groups of one side of `::`; only the last side may end in a dotted IPv4 address. */
function groupsOf(text: string, side: 'first' | 'last'): number[] | null {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [index, part] of parts.entries()) {
    if (GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const v4 = side === 'last' && index === parts.length - 1 ? parseV4(part) : null
    if (v4 === null) return null
    groups.push(Math.floor(v4 / 65_536), v4 % 65_536)
  }
  return groups
}

const GROUP = /^[0-9A-Fa-f]{1,4}$/
