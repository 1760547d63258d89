// The 95 HTTP/2 cases: RFC 9113 rule by rule.
import { describeDownstream } from './downstream.js'
import { HTTP2_FRAMES } from './http2-frame-cases.js'
import { HTTP2_MESSAGES } from './http2-message-cases.js'
import { HTTP2_STREAMS } from './http2-stream-cases.js'

describeDownstream('http2', [...HTTP2_STREAMS, ...HTTP2_FRAMES, ...HTTP2_MESSAGES])
