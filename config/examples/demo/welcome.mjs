// The page `npm start` prints: what runs, where it is reached, and what to try.

const JOB = `'{"parameters_b": 7, "batch": 4, "context_k": 4, "gpu_gb": 24}'`
const REACHED = {
  'core-pipeline': 'gRPC under /core-pipeline/',
  'framaist-milvus': 'gRPC under /framaist-milvus/',
  predictor: 'HTTP under /predictor/, WebSocket /predictor/ws',
  'task-worker': "no port; takes the predictor's tasks",
}

/** instances: InstanceStatus records.  tookMs: since the start.  port: the proxy's.  config, folder: as one types them from here. */
export function welcome({ instances, tookMs, port, config, folder }) {
  const waiting = instances.filter(({ ready }) => !ready)
  const predictor = instances.find(({ program }) => program === 'predictor')
  const guardctl = `npx guardctl -c ${config}`
  return `
AutoDL-Guard: ${instances.length - waiting.length} of ${instances.length} processes are ready after ${(tookMs / 1000).toFixed(1)} s, all behind http://localhost:${port}

${instances.map(row).join('\n')}

Try it from another terminal, in this directory:

  curl localhost:${port}/health
  curl localhost:${port}/core-pipeline/health
  curl localhost:${port}/predictor/predict -d ${JOB}
  curl localhost:${port}/predictor/tasks -d ${JOB}     # a worker takes it: see the logs below

  python3 ${folder}/client.py localhost:${port}      # gRPC, all four kinds of call (needs grpcio)
  node ${folder}/client.mjs localhost:${port}        # the same from Node

  ${guardctl} status
  ${guardctl} restart predictor
  ${guardctl} top
  kill -9 ${predictor?.pid ?? 'PID'}                     # the predictor is back before you look

Ctrl-C stops everything. The logs of all programs follow.
`
}

function row({ name, program, state, pid, ready, reason }) {
  return `  ${name.padEnd(18)} ${state.padEnd(9)} pid ${String(pid).padEnd(8)} ${REACHED[program] ?? ''}${ready ? '' : `  NOT READY ${reason}`}`
}
