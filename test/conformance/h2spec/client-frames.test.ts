// Half of the 57 client cases: a service whose frames break the rules of their types.
import { CLIENT_FRAMES } from './client-frame-cases.js'
import { describeUpstream } from './upstream.js'

describeUpstream('client frames', CLIENT_FRAMES)
