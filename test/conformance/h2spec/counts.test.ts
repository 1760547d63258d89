// The suite is whole: as many cases per section as the original has.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Section } from './cases.js'
import { CLIENT_FRAMES } from './client-frame-cases.js'
import { CLIENT_STREAMS } from './client-stream-cases.js'
import { GENERIC } from './generic-cases.js'
import { HPACK } from './hpack-cases.js'
import { HTTP2_FRAMES } from './http2-frame-cases.js'
import { HTTP2_MESSAGES } from './http2-message-cases.js'
import { HTTP2_STREAMS } from './http2-stream-cases.js'

type AnySection = Section<{ title: string }>

const ROWS: { group: AnySection['group']; total: number; counts: Record<string, number>; sections: AnySection[] }[] = [
  {
    group: 'generic',
    total: 44,
    counts: { 1: 1, 2: 5, 3.1: 3, 3.2: 3, 3.3: 5, 3.4: 1, 3.5: 1, 3.7: 1, 3.8: 1, 3.9: 2, '3.10': 2, 4: 4, 5: 15 },
    sections: GENERIC,
  },
  {
    group: 'http2',
    total: 95,
    counts: {
      ...{ 3.5: 2, 4.1: 3, 4.2: 3, 4.3: 3, 5.1: 13, '5.1.1': 2, '5.1.2': 1, '5.3.1': 2, '5.4.1': 2, 5.5: 2 },
      ...{ 6.1: 3, 6.2: 4, 6.3: 2, 6.4: 3, 6.5: 3, '6.5.2': 5, '6.5.3': 2, 6.7: 4, 6.8: 1, 6.9: 3, '6.9.1': 3, '6.9.2': 3, '6.10': 6 },
      ...{ 7: 2, 8.1: 1, '8.1.2': 1, '8.1.2.1': 4, '8.1.2.2': 2, '8.1.2.3': 7, '8.1.2.6': 2, 8.2: 1 },
    },
    sections: [...HTTP2_STREAMS, ...HTTP2_FRAMES, ...HTTP2_MESSAGES],
  },
  { group: 'hpack', total: 8, counts: { '2.3.3': 2, 4.2: 1, 5.2: 3, 6.1: 1, 6.3: 1 }, sections: HPACK },
  {
    group: 'client',
    total: 57,
    counts: {
      ...{ 1: 1, 4.1: 3, 4.2: 3, 4.3: 1, 5.1: 10, '5.1.1': 1, '5.4.1': 2, 5.5: 1 },
      ...{ 6.1: 3, 6.2: 3, 6.3: 2, 6.4: 3, 6.5: 3, '6.5.2': 4, '6.5.3': 1, 6.7: 4, 6.8: 1, 6.9: 3, '6.9.1': 2, '6.10': 6 },
    },
    sections: [...CLIENT_STREAMS, ...CLIENT_FRAMES],
  },
]

for (const { group, total, counts, sections } of ROWS)
  test(`${group}: ${total} cases, each section as many as the original`, () => {
    assert.ok(sections.every(section => section.group === group))
    const found = sections.map(section => [section.number, section.cases.length])
    assert.equal(new Set(sections.map(section => section.number)).size, sections.length, 'a section is listed once')
    assert.deepEqual(Object.fromEntries(found), counts)
    assert.equal(
      sections.reduce((sum, section) => sum + section.cases.length, 0),
      total,
    )
    const titles = sections.flatMap(section => section.cases.map(one => `${section.number} ${one.title}`))
    assert.equal(new Set(titles).size, titles.length, 'no title twice in a section')
  })

test('downstream there are 147 cases', () => {
  const downstream = ROWS.filter(row => row.group !== 'client')
  assert.equal(
    downstream.reduce((sum, row) => sum + row.total, 0),
    147,
  )
})
