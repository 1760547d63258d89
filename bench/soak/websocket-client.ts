// The soak's WebSocket traffic: a connection each, some echoes, a polite end.
import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { expectBytes, type Kind, pause } from './client.js'
import { refused } from './http1-clients.js'
import { Lost } from './ledger.js'

const MESSAGE = Buffer.alloc(2000, 'w')
const MESSAGES = 6
const PAUSE_MS = 40
const ABNORMAL = 1006

export const WEBSOCKET_KINDS: Kind[] = [{ name: 'websocket', share: 2, open: port => ({ ask: () => converse(port), close: () => {} }) }]

async function converse(port: number): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/w/ws`, { perMessageDeflate: false })
  let bytes = 0
  let isOpen = false
  socket.on('message', (data: Buffer) => {
    bytes += data.length
    if (bytes === MESSAGES * MESSAGE.length) socket.close(1000)
  })
  socket.on('open', () => {
    isOpen = true
    void talk(socket)
  })
  await new Promise<void>((resolve, reject) => {
    socket.on('unexpected-response', (_, answer) => {
      void textOf(answer).then(text => reject(refused(answer.statusCode ?? 0, text)))
    })
    socket.on('error', error => reject(isOpen ? new Lost(`cut: ${error.message}`) : error))
    socket.on('close', code => {
      if (code === ABNORMAL) reject(new Lost('cut: 1006'))
      else resolve()
    })
  })
  expectBytes(bytes, MESSAGES * MESSAGE.length)
}

async function talk(socket: WebSocket): Promise<void> {
  for (let left = MESSAGES; left > 0 && socket.readyState === WebSocket.OPEN; left--) {
    socket.send(MESSAGE)
    await pause(PAUSE_MS)
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  return text
}
