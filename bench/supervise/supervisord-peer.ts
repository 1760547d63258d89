// supervisord as a peer: an INI file, its daemon in the foreground, supervisorctl over a unix socket.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answering, control, endDaemon, inPath, spawnDaemon } from './daemon-process.js'
import type { BenchProgram, Peer } from './peer.js'
import { unixPost } from './unix-post.js'

export const supervisord: Peer = {
  name: 'supervisord',
  rounds: 20,
  installed: () => inPath('supervisord') !== null && inPath('supervisorctl') !== null,
  async start(programs, place) {
    const file = join(place.directory, 'supervisord.conf')
    writeFileSync(file, ini(programs, place.directory))
    const child = spawnDaemon('supervisord', ['-n', '-c', file], place.directory)
    const command = async (method: 'startProcess' | 'stopProcess', name: string): Promise<void> => {
      const answer = await unixPost(join(place.directory, 'supervisor.sock'), '/RPC2', { type: 'text/xml', text: methodCall(method, name) })
      if (answer.includes('<fault>')) throw new Error(answer)
    }
    return {
      daemonPid: child.pid,
      parts: () => [{ part: 'daemon', pid: child.pid }],
      ready: () => answering(() => control('supervisorctl', ['-c', file, 'pid']), place),
      stopProgram: name => command('stopProcess', name),
      startProgram: name => command('startProcess', name),
      logPath: name => join(place.directory, `${name}.log`),
      stop: () => endDaemon(child),
    }
  },
}

/** Both wait until it is done (the second parameter). */
function methodCall(method: string, name: string): string {
  const params = `<param><value><string>${name}</string></value></param><param><value><boolean>1</boolean></value></param>`
  return `<?xml version="1.0"?><methodCall><methodName>supervisor.${method}</methodName><params>${params}</params></methodCall>`
}

function ini(programs: BenchProgram[], directory: string): string {
  return `[supervisord]
logfile=${directory}/supervisord.log
pidfile=${directory}/supervisord.pid
minfds=4096
[unix_http_server]
file=${directory}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${directory}/supervisor.sock
${programs.map(program => section(program, directory)).join('')}`
}

/** stopasgroup and killasgroup are the most it offers against children that stay. */
function section({ name, argv, autostart, autorestart, logBytes }: BenchProgram, directory: string): string {
  return `[program:${name}]
command=${argv.join(' ')}
directory=${directory}
autostart=${autostart}
autorestart=${autorestart ? 'true' : 'unexpected'}
startsecs=${autorestart ? 1 : 0}
stopwaitsecs=1
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=${logBytes > 0 ? join(directory, `${name}.log`) : 'NONE'}
stdout_logfile_maxbytes=${logBytes}
stdout_logfile_backups=20
`
}
