// A process that writes numbered lines as fast as told and rotates: PATH LINES MAXBYTES BACKUPS LINES_PER_MS.
import { setTimeout as sleep } from 'node:timers/promises'
import { RotatingWriter } from './rotating-writer.js'

const [path = '', lines = '0', maxBytes = '0', backups = '0', linesPerMs = '100'] = process.argv.slice(2)
const writer = new RotatingWriter({ path, maxBytes: Number(maxBytes), backups: Number(backups) })
const startedAt = performance.now()
for (let number = 0; number < Number(lines); number++) {
  writer.write(`${String(number).padStart(8, '0')} ${'x'.repeat(number % 90)}\n`)
  // Behind the clock of lines per ms: let it catch up.
  while (number / Number(linesPerMs) > performance.now() - startedAt) await sleep(1)
}
writer.close()
process.stdout.write(String(writer.rotations))
