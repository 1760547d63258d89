// Learns the weights of memory-model.json from jobs made by a rule of thumb, and prints them.
import { FEATURES, inputs, probability, sigmoid } from './memory-model.mjs'

const JOBS = 2_000
const ROUNDS = 400
const RATE = 0.5

const random = seeded(6006)
const jobs = Array.from({ length: JOBS }, anyJob)
const model = train(jobs)
const right = jobs.filter(job => probability(job, model) >= 0.5 === fits(job)).length
process.stdout.write(`${JSON.stringify({ features: FEATURES.map(([name]) => name), ...model, accuracy: right / JOBS }, null, 2)}\n`)

/** Full-batch gradient descent on the logistic loss; the inputs are centred and scaled for it, and the weights turned back at the end. */
function train(examples) {
  const rows = examples.map(inputs)
  const mean = rows[0].map((_, at) => average(rows.map(row => row[at])))
  const spread = mean.map((centre, at) => Math.sqrt(average(rows.map(row => (row[at] - centre) ** 2))))
  const scaled = rows.map(row => row.map((value, at) => (value - mean[at]) / spread[at]))
  const weights = mean.map(() => 0)
  let bias = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const errors = scaled.map(
      (row, i) => sigmoid(row.reduce((sum, value, at) => sum + value * weights[at], bias)) - (fits(examples[i]) ? 1 : 0),
    )
    weights.forEach((_, at) => {
      weights[at] -= RATE * average(errors.map((error, i) => error * scaled[i][at]))
    })
    bias -= RATE * average(errors)
  }
  const turnedBack = weights.map((weight, at) => weight / spread[at])
  return { weights: turnedBack.map(round6), bias: round6(bias - turnedBack.reduce((sum, weight, at) => sum + weight * mean[at], 0)) }
}

/** Half-precision weights, a key-value cache that grows with the model's width, and a tenth for everything else. */
function fits({ parameters_b: parameters, batch, context_k: context, gpu_gb: gpu }) {
  return (parameters * 2 + batch * context * 0.06 * parameters ** 0.6) * 1.1 <= gpu
}

function anyJob() {
  const between = (least, most) => 2 ** (Math.log2(least) + random() * (Math.log2(most) - Math.log2(least)))
  return { parameters_b: between(0.5, 80), batch: between(1, 128), context_k: between(0.5, 64), gpu_gb: between(8, 192) }
}

function average(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function round6(value) {
  return Math.round(value * 1e6) / 1e6
}

/** A linear congruential generator, 0 to 1: the same jobs on every machine. */
function seeded(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
