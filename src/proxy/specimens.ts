// One request of each kind is kept when it is over: V8 throws compiled code away together with the last object of a shape that the code was made for.
// A collection while nothing was under way (memory-return.ts) threw away every method on their way: the p99 of the next seconds, at 2,000 requests/s,
// was 2-20 ms where it is 0.5 ms with these.
import type { RequestHead } from './stream.js'

type Protocol = RequestHead['protocol']

/** The attempts of a request with all that hangs on them, by what its client speaks; the stream to a service, by what that speaks. */
export const specimens = { requests: new Map<Protocol, object>(), streams: new Map<Protocol, object>() }
