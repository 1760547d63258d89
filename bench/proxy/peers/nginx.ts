// nginx: grpc_pass for h2c, proxy_pass for HTTP/1, both with a keep-alive pool; its log is buffered like ours.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inPath } from '../../supervise/daemon-process.js'
import type { Peer, Setup } from '../peer.js'
import { end, family, listening, spawnProxy } from '../processes.js'

export const nginx: Peer = {
  name: 'nginx',
  debianPackage: 'nginx',
  protocols: ['http1', 'h2c'],
  installed: () => inPath('nginx') !== null,
  async start(setup) {
    const { directory, port } = setup
    const file = join(directory, 'nginx.conf')
    mkdirSync(join(directory, 'temp'))
    writeFileSync(file, nginxConfig(setup))
    const child = spawnProxy('nginx', ['-c', file, '-p', directory, '-e', join(directory, 'error.log')], {
      directory,
      outFile: join(directory, 'out'),
    })
    await listening(child, port)
    return { prefix: '/bench/', pids: () => family(child.pid), stop: () => end(child) }
  },
}

/** keepalive_requests is lifted: at 1,000 it answers GOAWAY, which costs h2load its connection. */
function nginxConfig({ directory, port, originPort, accessLog, protocol }: Setup): string {
  const user = process.getuid?.() === 0 ? 'user root root;' : ''
  const log = accessLog === null ? 'access_log off;' : `access_log ${accessLog} combined buffer=64k flush=1s;`
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${directory}/temp/${name};`).join(' ')
  return `${user}
daemon off; worker_processes 1; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
events { worker_connections 16000; }
http {
  ${log} ${temp}
  keepalive_requests 1000000000; client_max_body_size 0; tcp_nodelay on;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 1024; keepalive_requests 1000000000; }
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} backlog=4096${protocol === 'h2c' ? ' http2' : ''};
    location /bench/ { ${protocol === 'h2c' ? GRPC : HTTP1} }
  }
}
`
}

const GRPC = `rewrite ^/bench(/.*)$ $1 break; grpc_pass grpc://origin;
      grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for; grpc_set_header X-Forwarded-Proto $scheme;
      grpc_set_header X-Request-Id $request_id;`

const HTTP1 = `proxy_pass http://origin/; proxy_http_version 1.1;
      proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;`
