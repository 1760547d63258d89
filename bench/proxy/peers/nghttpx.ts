// nghttpx: one worker thread; it cannot strip a prefix (Debian's has no mruby) and has no request ids.
import { join } from 'node:path'
import { inPath } from '../../supervise/daemon-process.js'
import type { Peer } from '../peer.js'
import { end, family, listening, spawnProxy } from '../processes.js'

export const nghttpx: Peer = {
  name: 'nghttpx',
  debianPackage: 'nghttp2-proxy',
  protocols: ['http1', 'h2c'],
  installed: () => inPath('nghttpx') !== null,
  async start({ directory, port, originPort, accessLog, protocol }) {
    const args = [
      '--conf=/dev/null',
      `--frontend=127.0.0.1,${port};no-tls`,
      `--backend=127.0.0.1,${originPort};;proto=${protocol === 'h2c' ? 'h2' : 'http/1.1'}`,
      '--workers=1',
      '--backlog=4096',
      '--add-x-forwarded-for',
      '--frontend-keep-alive-timeout=75s',
      `--errorlog-file=${join(directory, 'error.log')}`,
      ...(accessLog === null ? [] : [`--accesslog-file=${accessLog}`]),
    ]
    const child = spawnProxy('nghttpx', args, { directory, outFile: join(directory, 'out') })
    await listening(child, port)
    return { prefix: '/', pids: () => family(child.pid), stop: () => end(child) }
  },
}
