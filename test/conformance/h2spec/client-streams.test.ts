// Half of the 57 client cases: a service that breaks the rules of preface, frames and stream states.
import { CLIENT_STREAMS } from './client-stream-cases.js'
import { describeUpstream } from './upstream.js'

describeUpstream('client streams', CLIENT_STREAMS)
