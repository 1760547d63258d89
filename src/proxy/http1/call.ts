// One HTTP/1 request as a ClientCall: node:http's request and response behind the codec-neutral shape.
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex, Readable, Writable } from 'node:stream'
import { type Fields, fieldValues } from '../../core/headers.js'
import { fieldsFromRaw } from '../fields.js'
import type { ClientCall, RequestHead } from '../message.js'
import { addTrailers } from './client.js'

export interface Http1Parts {
  request: IncomingMessage
  response: ServerResponse
  /** What the client sent behind an upgrade request before it was answered. */
  takeEarly(): Buffer
  /** True once answers end their connection. */
  isDraining(): boolean
}

export class Http1Call implements ClientCall {
  readonly head: RequestHead
  private readonly request: IncomingMessage
  private readonly response: ServerResponse

  private readonly takeEarly: () => Buffer

  private readonly isDraining: () => boolean

  constructor(head: RequestHead, parts: Http1Parts) {
    const { request, response } = parts
    this.head = head
    this.takeEarly = parts.takeEarly
    this.isDraining = parts.isDraining
    this.request = request
    this.response = response
    // The service's Date goes through; where it sends none there is none.
    response.sendDate = false
    // Its cause is told by 'close'; without a listener an error would end the worker.
    response.on('error', () => {})
  }

  get body(): Readable {
    return this.request
  }

  get answerBody(): Writable {
    return this.response
  }

  requestTrailers(): Fields {
    return fieldsFromRaw(this.request.rawTrailers)
  }

  sendInformational(status: number, fields: Fields): void {
    if (this.response.headersSent || this.request.httpVersion === '1.0') return
    if (status === 100) this.response.writeContinue()
    const links = status === 103 ? fieldValues(fields, 'link') : []
    if (links.length === 0) return
    try {
      this.response.writeEarlyHints({ link: links })
    } catch {
      // Node refuses link values that it cannot parse; a hint may be left out.
    }
  }

  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    if (this.isDraining()) this.response.shouldKeepAlive = false
    this.response.writeHead(status, fields)
    if (end === 'now') this.response.end()
    else this.response.flushHeaders()
  }

  sendEnd(trailers: Fields): void {
    if (trailers.length > 0) addTrailers(this.response, trailers)
    this.response.end()
  }

  /** A reset, not a close: a client that reads up to the close would take that for a complete answer. */
  sendReset(): void {
    this.response.socket?.resetAndDestroy()
  }

  switchProtocols(fields: Fields): Duplex {
    const socket = this.response.socket!
    this.response.detachSocket(socket)
    socket.pause()
    socket.removeAllListeners('data')
    const early = this.takeEarly()
    if (early.length > 0) socket.unshift(early)
    let text = `HTTP/1.1 101 ${STATUS_CODES[101]}\r\nconnection: Upgrade\r\nupgrade: ${this.head.upgrade}\r\n`
    for (let at = 0; at < fields.length; at += 2) if (fields[at] !== 'content-length') text += `${fields[at]}: ${fields[at + 1]}\r\n`
    socket.write(`${text}\r\n`, 'latin1')
    return socket
  }

  onGone(listener: () => void): void {
    this.response.on('close', listener)
  }
}
