// Header blocks that cannot be decoded: each is a connection error COMPRESSION_ERROR (RFC 7541).
import { headerBlock } from '../h2-frames.js'
import type { Section } from './cases.js'
import { type ClientCase, rule } from './downstream.js'
import { connectionError } from './expectations.js'
import { bits, EOS, huffman, indexed, literal, literalAt, sizeUpdate, text } from './hpack-literals.js'
import type { ClientPeer } from './peer.js'
import { blockHead, CODE, SETTING } from './wire.js'

// Behind the static table's 61 entries and whatever a first request can have put into the dynamic one.
const NO_ENTRY = 70
const DEFAULT_TABLE_BYTES = 4096

export const HPACK: Section<ClientCase>[] = [
  {
    group: 'hpack',
    number: '2.3.3',
    cases: [
      undecodable('an indexed field beyond both tables', after(indexed(NO_ENTRY))),
      undecodable('a literal whose name is beyond both tables', after(literalAt('incremental', NO_ENTRY, text('', 'plain')))),
    ],
  },
  {
    group: 'hpack',
    number: '4.2',
    cases: [undecodable('a dynamic table size update at the end of a header block', after(sizeUpdate(1)))],
  },
  {
    group: 'hpack',
    number: '5.2',
    cases: [
      undecodable('a Huffman-coded string with more than 7 bits of padding', value(huffman(bits('test'), '1', 1))),
      undecodable('a Huffman-coded string padded with zeros', value(huffman(bits('test'), '0'))),
      undecodable('a Huffman-coded string that contains EOS', value(huffman(bits('tes') + EOS + bits('t'), '1'))),
    ],
  },
  {
    group: 'hpack',
    number: '6.1',
    cases: [undecodable('an indexed field with index 0', after(indexed(0)))],
  },
  {
    group: 'hpack',
    number: '6.3',
    cases: [
      undecodable('a dynamic table size update above SETTINGS_HEADER_TABLE_SIZE', p => [
        sizeUpdate((p.announced.get(SETTING.HEADER_TABLE_SIZE) ?? DEFAULT_TABLE_BYTES) + 1),
        headerBlock(p.get),
      ]),
    ],
  },
]

type Block = (peer: ClientPeer) => Buffer[]

function undecodable(title: string, block: Block): ClientCase {
  return rule(
    `${title} is a connection error COMPRESSION_ERROR`,
    p => [blockHead(1, Buffer.concat(block(p)), 'end')],
    connectionError(CODE.COMPRESSION_ERROR),
  )
}

/** A request, and behind its fields this. */
function after(bytes: Buffer): Block {
  return p => [headerBlock(p.get), bytes]
}

/** A request, and behind its fields one more with this value. */
function value(bytes: Buffer): Block {
  return after(literal('without', text('x-test', 'huffman'), bytes))
}
