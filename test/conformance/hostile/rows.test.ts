// Every row of section F has a case, in one of the tables or in a test that says its number.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as framing from './rows-framing.js'
import * as http2 from './rows-http2.js'
import * as targets from './rows-targets.js'

it('rows 1 to 73 each have a case', () => {
  const folder = new URL('./', import.meta.url)
  const tests = readdirSync(folder).filter(name => name.endsWith('.test.js'))
  const told = tests.flatMap(name => [...readFileSync(fileURLToPath(new URL(name, folder)), 'utf8').matchAll(/['`]row (\d+)[:, ]/g)])
  const tables = [framing.REFUSED, framing.PASSED, targets.REFUSED, targets.PASSED, targets.NOMINATED, http2.REFUSED, http2.PASSED]
  const covered = new Set([...told.map(match => Number(match[1])), ...tables.flat().map(row => row.row)])
  assert.deepEqual(
    Array.from({ length: 73 }, (_, at) => at + 1).filter(row => !covered.has(row)),
    [],
  )
})
