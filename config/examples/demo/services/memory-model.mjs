// A learned estimate of whether an inference job fits into a GPU's memory: logistic regression on the logarithms of four numbers.
import { readFileSync } from 'node:fs'

/** What a job is described by: name, smallest and largest value that is taken. */
export const FEATURES = [
  ['parameters_b', 0.05, 500], // billions of parameters
  ['batch', 1, 1024],
  ['context_k', 0.1, 1024], // thousands of tokens per sequence
  ['gpu_gb', 1, 1024],
]

/** The fixed weights, as memory-model-train.mjs found them. */
export const MODEL = JSON.parse(readFileSync(new URL('memory-model.json', import.meta.url), 'utf8'))

/** What is wrong with a job; null: nothing. */
export function problem(job) {
  if (job === null || typeof job !== 'object') return 'a job is an object'
  const bad = FEATURES.find(([name, least, most]) => !(Number.isFinite(job[name]) && job[name] >= least && job[name] <= most))
  return bad ? `${bad[0]} must be a number from ${bad[1]} to ${bad[2]}` : null
}

/** The probability, 0 to 1, that the job fits. */
export function probability(job, model = MODEL) {
  return sigmoid(inputs(job).reduce((sum, value, at) => sum + value * model.weights[at], model.bias))
}

/** The largest batch for which the job still fits; 0: not even one.  Found by halving, as the estimate only falls with the batch. */
export function largestBatch(job) {
  const [, least, most] = FEATURES.find(([name]) => name === 'batch')
  let fits = 0
  for (let low = least, high = most; low <= high; ) {
    const batch = (low + high) >> 1
    if (probability({ ...job, batch }) >= 0.5) {
      fits = batch
      low = batch + 1
    } else high = batch - 1
  }
  return fits
}

/** The job as the model sees it. */
export function inputs(job) {
  return FEATURES.map(([name]) => Math.log2(job[name]))
}

export function sigmoid(value) {
  return 1 / (1 + Math.exp(-value))
}
