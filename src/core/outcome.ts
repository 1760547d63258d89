// What became of the instances that a request named.
import type { AppError } from './error.js'

export interface Outcome {
  id: string
  error: AppError | null
}

export interface Restarted {
  stopped: Outcome[]
  started: Outcome[]
}
