// The command table is what CLI, server, help and documents are made from.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { renderCommands } from '../../src/control/command-docs.js'
import { COMMANDS, type CommandRow, commandNames } from '../../src/control/command-table.js'
import { FakeGuard, served } from './fakes.js'

test('every command with a route is served there, and the route is the command’s name', async t => {
  const { socketPath } = await served(t, new FakeGuard())
  for (const name of commandNames()) {
    const row: CommandRow = COMMANDS[name]
    if (row.http === null) continue
    assert.equal(row.http.path, `/api/${name}`)
    const { method, path } = row.http
    // With a parameter nobody takes, so that the answer names the route's own refusal and nothing is done.
    const status = await new Promise<number>((resolve, reject) => {
      const outgoing = request(
        { socketPath, method, path: `${path}?none=1`, headers: { 'content-type': 'application/json' }, agent: false },
        reply => {
          reply.resume()
          resolve(reply.statusCode!)
        },
      )
      outgoing.on('error', reject)
      outgoing.end(method === 'POST' ? '{"none":1}' : undefined)
    })
    assert.equal(status, 400, `${method} ${path}`)
  }
})

test('rows are whole: help is one line, options and exit codes are real, what follows says so', () => {
  for (const name of commandNames()) {
    const row: CommandRow = COMMANDS[name]
    assert.match(row.help, /^[a-z](?!.*\n).*[^.]$/i, name)
    for (const code of Object.keys(row.exits)) assert.ok(Number(code) > 0 && Number(code) < 8, `${name} ${code}`)
    const follows = row.options.some(option => option.flag === '-f')
    assert.equal(row.http?.streams === 'follow', follows, `${name}: -f and a route that goes on belong together`)
    for (const { flag } of row.options) assert.ok(row.args.includes(flag), `${name}: ${flag} stands in its arguments`)
  }
})

test('the documents have one line per command, in the table’s order, with its route', () => {
  const text = renderCommands()
  const lines = text.split('\n').filter(line => line.startsWith('| `'))
  assert.deepEqual(
    lines.map(line => /^\| `(\w+)/.exec(line)?.[1]),
    commandNames(),
  )
  assert.match(text, /\| `tail \[-f\\\|-N\] NAME \[stdout\\\|stderr\]` \|/, 'a bar inside a cell is escaped')
  assert.match(text, /`POST \/api\/start` \(names, wait\) \|/)
})
