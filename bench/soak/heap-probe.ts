// Loaded into the worker by `--heap`: writes what V8 and its buffers hold to the file in GUARD_SOAK_HEAP, every second.
import { renameSync, writeFileSync } from 'node:fs'

const EVERY_MS = 1000
const file = process.env.GUARD_SOAK_HEAP

if (file !== undefined) {
  setInterval(() => {
    writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()))
    renameSync(`${file}.new`, file)
  }, EVERY_MS).unref()
}
