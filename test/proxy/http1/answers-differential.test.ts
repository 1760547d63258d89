// Whatever of a service's answers we pass on, llhttp (inside node's client) reads the same: status, fields, where the body ends, and whose answer comes next.
// Ours may be the stricter one.  FUZZ_RUNS raises the number of connections, FUZZ_SEED says another beginning.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manySeeds } from '../many-seeds.js'
import { METHODS, mutatedAnswers } from './mutated-answers.js'
import { type OurAnswer, type ReadAnswer, readByLlhttp, readByUs } from './two-clients.js'

const RUNS = Number(process.env.FUZZ_RUNS ?? 6000)
const SEED = Number(process.env.FUZZ_SEED ?? 9112)

// Where llhttp refuses what we take, there is no second reading of it.
const THEY_REFUSE: [string, RegExp, (answer: OurAnswer) => boolean][] = [
  // A length among the trailers; with us it does not go on (core/headers.ts).
  [
    'frames in trailers',
    /^HPE_(INVALID_CONTENT_LENGTH|INVALID_TRANSFER_ENCODING|UNEXPECTED_CONTENT_LENGTH)$/,
    answer => has(answer.trailers, FRAMING),
  ],
  // It reads the grammar of chunk extensions; we drop them whatever they say.
  ['chunk extensions', /^HPE_(STRICT|INVALID_CHUNK_SIZE)$/, answer => answer.fields.includes('transfer-encoding')],
  // What a head below 200 says of the connection it takes for the answer's.
  ['an informational head that closes', /^HPE_CLOSED_CONNECTION$/, answer => answer.informational.length > 0],
]

// A TAB beside these values is space around a value (RFC 9110 5.5), which does not go on; llhttp takes it for a part of the word: an unknown coding, or an error.
const TAB_IN_FRAMING = /^(transfer-encoding|content-length|connection):.*\t/im

const FRAMING = /^(content-length|transfer-encoding)$/

function has(fields: readonly string[], name: RegExp): boolean {
  return fields.some((text, at) => at % 2 === 0 && name.test(text))
}

/** Where llhttp gives a connection up and we do not: behind an answer without a body that does not say so itself, which RFC 9112 6.3 knows by the request
 *  or the status; and for a Proxy-Connection, which no standard has: it is as any other field. */
function mayGiveUp(answer: OurAnswer): boolean {
  const isBodyless = answer.method === 'HEAD' || answer.status === 204 || answer.status === 304
  return (isBodyless && !has(answer.fields, FRAMING)) || has(answer.fields, /^proxy-connection$/)
}

/** How many answers both have read whole. */
async function compare(bytes: Buffer, methods: readonly string[]): Promise<number> {
  const ours = readByUs(bytes, methods, 1)
  const theirs = await readByLlhttp(bytes, ours)
  let whole = 0
  for (const [at, mine] of ours.entries()) {
    if (mine.status === 0) break
    const other = theirs[at]
    if (TAB_IN_FRAMING.test(bytes.toString('latin1', mine.from, mine.end))) break
    const facts = `${at}: ${JSON.stringify(bytes.toString('latin1'))}\n${JSON.stringify(mine)}\n${JSON.stringify(other)}`
    assert.ok(other !== undefined, facts)
    if (THEY_REFUSE.some(([, code, isIt]) => code.test(other.code) && isIt(mine))) break
    assert.deepEqual(headOf(other), headOf(mine), facts)
    assert.equal(other.isComplete, mine.isComplete, facts)
    if (!mine.isComplete) break
    assert.deepEqual([other.body, other.trailers], [mine.body, mine.trailers], facts)
    whole++
    if (!mine.isKept) break
    if (!other.isKept) {
      assert.ok(mayGiveUp(mine), `we keep the connection, llhttp does not: ${facts}`)
      break
    }
  }
  return whole
}

function headOf({ informational, status, fields }: ReadAnswer) {
  return { informational, status, fields }
}

const OK = 'HTTP/1.1 200 OK\r\n'
const NEXT = `${OK}Content-Length: 6\r\n\r\npoison`

// Bytes that hide an answer for the next request behind the first one's, or behind half of it.
const ATTACKS: [string, string, string?][] = [
  ['TE.CL', `${OK}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`],
  ['CL.TE', `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${NEXT}`],
  ['TE.TE, the second hidden', `${OK}Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n0\r\n\r\n${NEXT}`],
  ['a coding that is not the last', `${OK}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n${NEXT}`],
  ['a coding behind a vertical tab', `${OK}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${NEXT}`],
  ['a coding in HTTP/1.0', `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`],
  ['two lengths', `${OK}Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello${NEXT}`],
  ['a length with a sign', `${OK}Content-Length: +5\r\n\r\nhello${NEXT}`],
  ['a length that wraps', `${OK}Content-Length: 18446744073709551616\r\n\r\n${NEXT}`],
  ['a chunk size that wraps', `${OK}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n0\r\n\r\n${NEXT}`],
  ['a bare LF that hides a field', `HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n${NEXT}`],
  ['an extension that hides a line end', `${OK}Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n4c\r\n0\r\n\r\n${NEXT}`],
  ['a body to HEAD', `${OK}Content-Length: ${NEXT.length}\r\n\r\n${NEXT}`, 'HEAD'],
  ['a body to 304', `HTTP/1.1 304 Not Modified\r\nContent-Length: ${NEXT.length}\r\n\r\n${NEXT}`],
  ['a body to 204', `HTTP/1.1 204 No Content\r\nContent-Length: ${NEXT.length}\r\n\r\n${NEXT}`],
  ['chunks to 204', `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`],
  ['101 that nobody asked for', `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n${NEXT}`],
  ['bytes behind the length', `${OK}Content-Length: 2\r\n\r\nok${NEXT}`],
]

describe('whatever we take of a service’s answers, llhttp understands the same', () => {
  it(`${RUNS} connections of sound and changed answers, which mean the same in pieces`, async () => {
    await manySeeds({ runs: RUNS, seed: SEED, what: 'answers' }, async chance => {
      const bytes = mutatedAnswers(chance)
      const methods = [0, 1, 2].map(() => chance.of(METHODS))
      const compared = await compare(bytes, methods)
      inPieces(bytes, methods, 2 + chance.below(40))
      return compared
    })
  })

  /** However the bytes are cut: the first answer is the same one, or its connection is not kept where its last byte does not come alone. */
  function inPieces(bytes: Buffer, methods: readonly string[], pieceBytes: number): void {
    const [single] = readByUs(bytes, methods, 1)
    const [cut] = readByUs(bytes, methods, pieceBytes)
    const facts = `${pieceBytes}: ${JSON.stringify(bytes.toString('latin1'))}`
    assert.deepEqual({ ...cut, end: 0, isKept: false, fault: '' }, { ...single, end: 0, isKept: false, fault: '' }, facts)
    assert.equal(cut!.fault === '', single!.fault === '', facts)
    if (cut!.isKept) assert.deepEqual([single!.isKept, single!.end], [true, cut!.end], facts)
  }

  for (const [title, text, method = 'GET'] of ATTACKS) {
    it(`${title}: nothing of it is the next request’s answer`, async () => {
      const bytes = Buffer.from(text, 'latin1')
      await compare(bytes, [method, 'GET'])
      for (const pieceBytes of [bytes.length, bytes.length - 1]) {
        const [first, ...more] = readByUs(bytes, [method, 'GET'], pieceBytes)
        assert.deepEqual(more, [])
        assert.ok(first!.fault !== '' || first!.isComplete, JSON.stringify(first))
      }
    })
  }
})
