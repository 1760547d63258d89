// http-proxy 1.18.1 with a keep-alive agent and the guards without which it hangs on aborts and lost origins; run as a process.
import { randomUUID } from 'node:crypto'
import { Agent, createServer, ServerResponse } from 'node:http'
import httpProxy from 'http-proxy'
import { accessLog, settings, stripped } from './npm-log.js'

const { port, originPort, accessLog: file } = settings()
const note = accessLog(file)
const proxy = httpProxy.createProxyServer({
  target: { host: '127.0.0.1', port: originPort },
  agent: new Agent({ keepAlive: true, maxFreeSockets: 1024 }),
  xfwd: true,
})

proxy.on('proxyReq', (outgoing, _incoming, response) => {
  response.on('close', () => {
    if (!response.writableFinished) outgoing.destroy()
  })
})
proxy.on('proxyRes', (answer, _incoming, response) => {
  answer.on('close', () => {
    if (!answer.complete) response.destroy()
  })
  answer.on('end', () => {
    if (Object.keys(answer.trailers).length > 0) response.addTrailers(answer.trailers as Record<string, string>)
  })
})
proxy.on('error', (_error, _incoming, response) => {
  if (!(response instanceof ServerResponse)) response.destroy()
  else if (response.headersSent) response.destroy()
  else response.writeHead(502).end()
})

const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  const { method, httpVersion, url } = request
  if (note !== null) {
    response.on('finish', () => {
      const { headers, socket } = request
      note({ method, url, httpVersion, address: socket.remoteAddress, agent: headers['user-agent'], status: response.statusCode })
    })
  }
  request.url = stripped(url ?? '/')
  request.headers['x-request-id'] ??= randomUUID()
  proxy.web(request, response)
})
server.on('upgrade', (request, socket, head) => {
  request.url = stripped(request.url ?? '/')
  request.headers['x-request-id'] ??= randomUUID()
  proxy.ws(request, socket, head)
})
server.listen({ port, host: '127.0.0.1', backlog: 4096 })
