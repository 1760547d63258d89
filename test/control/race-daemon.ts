// A daemon that tries to claim a control socket, says how it went, and goes when its stdin ends.
import { serveControl } from '../../src/control/server.js'
import { AppError } from '../../src/core/error.js'
import { FakeGuard } from './fakes.js'

try {
  const server = await serveControl(new FakeGuard(), { socketPath: process.argv[2]! })
  process.stdout.write('serves')
  process.stdin.once('end', () => void server.close())
  process.stdin.resume()
} catch (error) {
  process.stdout.write(error instanceof AppError ? error.code : String(error))
}
