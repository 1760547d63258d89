// The checks on a parsed head that node's parser leaves to us.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isHost, judgeHead } from '../../../src/proxy/http1/strict.js'

const judge = (change: Partial<Parameters<typeof judgeHead>[0]>) =>
  judgeHead({ httpVersion: '1.1', method: 'GET', hosts: ['h'], fields: [], ...change })?.http ?? 'ok'

describe('judgeHead', () => {
  const rows: [string, Parameters<typeof judge>[0], number | 'ok'][] = [
    ['a plain request', {}, 'ok'],
    ['HTTP/1.0 without Host', { httpVersion: '1.0', hosts: [] }, 'ok'],
    ['HTTP/1.1 without Host', { hosts: [] }, 400],
    ['HTTP/1.2', { httpVersion: '1.2' }, 505],
    ['HTTP/2.0', { httpVersion: '2.0' }, 505],
    ['two Hosts, even equal ones', { hosts: ['h', 'h'] }, 400],
    ['an empty Host', { hosts: [''] }, 400],
    ['one length', { fields: ['content-length', '5'] }, 'ok'],
    ['two lengths', { fields: ['content-length', '5', 'content-length', '5'] }, 400],
    ['a length of 16 digits', { fields: ['content-length', '1000000000000000'] }, 400],
    ['a length of 15 digits', { fields: ['content-length', '100000000000000'] }, 'ok'],
    ['a length with a sign', { fields: ['content-length', '+5'] }, 400],
    ['chunked', { fields: ['transfer-encoding', 'chunked'] }, 'ok'],
    ['Chunked', { fields: ['transfer-encoding', 'Chunked'] }, 'ok'],
    ['gzip, chunked', { fields: ['transfer-encoding', 'gzip, chunked'] }, 501],
    ['identity', { fields: ['transfer-encoding', 'identity'] }, 501],
    ['chunked twice', { fields: ['transfer-encoding', 'chunked', 'transfer-encoding', 'chunked'] }, 400],
    ['chunked in HTTP/1.0', { httpVersion: '1.0', fields: ['transfer-encoding', 'chunked'] }, 400],
    ['length and chunked', { fields: ['content-length', '5', 'transfer-encoding', 'chunked'] }, 400],
    ['Connection: close, te', { fields: ['connection', 'close, te'] }, 'ok'],
    ['Connection: content-length', { fields: ['connection', 'close, Content-Length'] }, 400],
    ['Connection: transfer-encoding', { fields: ['connection', 'transfer-encoding'] }, 400],
    ['Connection: host', { fields: ['connection', 'host'] }, 400],
    ['Upgrade without a body', { fields: ['upgrade', 'websocket', 'content-length', '0'] }, 'ok'],
    ['Upgrade with a length', { fields: ['upgrade', 'websocket', 'content-length', '1'] }, 400],
    ['Upgrade with chunks', { fields: ['upgrade', 'websocket', 'transfer-encoding', 'chunked'] }, 400],
    ['Expect: 100-Continue', { fields: ['expect', '100-Continue'] }, 'ok'],
    ['Expect: else', { fields: ['expect', 'else'] }, 417],
  ]
  for (const [title, change, expected] of rows) it(`${title}: ${expected}`, () => assert.equal(judge(change), expected))
})

describe('isHost', () => {
  for (const text of ['h', 'a.b-c_d', '1.2.3.4:80', '[::1]', '[::1]:6006', 'h:', 'xn--e.example'])
    it(`${text} is one`, () => assert.ok(isHost(text)))
  for (const text of ['', 'a/b', 'a@b', 'a b', 'a?b', 'a#b', 'a\\b', '::1', '[::1', 'h:123456', 'h:x', 'h:1:2', 'ä']) {
    it(`${text || 'nothing'} is none`, () => assert.ok(!isHost(text)))
  }
})
