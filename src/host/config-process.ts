// The process that reads a configuration for the daemon: `config-process FILE`, ports in use as JSON on stdin, the result as JSON on stdout.
import { readFileSync } from 'node:fs'
import { AppError } from '../core/error.js'
import { requireConfig } from './config.js'
import type { ConfigAnswer } from './config-apart.js'

process.stdout.write(JSON.stringify(answer()))

function answer(): ConfigAnswer {
  const ports = JSON.parse(readFileSync(0, 'utf8')) as Record<string, number>
  try {
    return { config: requireConfig(process.argv[2] as string, process.env, { portOf: id => ports[id] ?? null }) }
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message }
    throw error
  }
}
