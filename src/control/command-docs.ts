// The command table as markdown: README's command section is this text.
import { COMMANDS, type CommandRow, commandNames, EVERY_EXIT, NAME_FORMS } from './command-table.js'

/** README's command section: one table of every command, then the exit codes all of them share.
 *  Returns markdown that ends with a newline.  Throws nothing. */
export function renderCommands(): string {
  const rows = commandNames().map(name => rowOf(name, COMMANDS[name]))
  const exits = Object.entries(EVERY_EXIT).map(([code, meaning]) => `${code} ${meaning}`)
  return [
    '| command | what it does | exit codes of its own | HTTP on the control socket |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    `${NAME_FORMS}.`,
    '',
    `Exit codes of every command: ${exits.join(' · ')}.`,
    '',
  ].join('\n')
}

function rowOf(name: string, row: CommandRow): string {
  const exits = Object.entries(row.exits).map(([code, meaning]) => `${code} ${meaning}`)
  return `| ${code(`${name} ${row.args}`.trim())} | ${row.help} | ${exits.join(' · ')} | ${routeText(row)} |`
}

function routeText(row: CommandRow): string {
  if (row.http === null) return ''
  const takes = row.http.takes.length === 0 ? '' : ` (${row.http.takes.join(', ')})`
  return `${code(`${row.http.method} ${row.http.path}`)}${takes}`
}

// A bar ends a table cell even inside back-quotes.
function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``
}
