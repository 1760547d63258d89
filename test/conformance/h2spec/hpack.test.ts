// The 8 HPACK cases: header blocks that cannot be decoded.
import { describeDownstream } from './downstream.js'
import { HPACK } from './hpack-cases.js'

describeDownstream('hpack', HPACK)
