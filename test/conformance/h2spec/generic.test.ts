// The 44 generic cases: what any HTTP/2 server must take.
import { describeDownstream } from './downstream.js'
import { GENERIC } from './generic-cases.js'

describeDownstream('generic', GENERIC)
