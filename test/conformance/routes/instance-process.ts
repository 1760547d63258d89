// An instance that can be killed: serves its name on a port of its own until the end, in the protocol that it is told.
// Arguments: name, http1 or h2c.  Tells its parent its port.  `/slow` takes 200 ms, everything else 10.
import { type NamedService, namedService } from './services.js'

const [name, protocol] = process.argv.slice(2)
const service: NamedService = await namedService(name!, { protocol: protocol as 'http1' | 'h2c' })
service.reply = async ({ path }) => {
  await new Promise(resolve => setTimeout(resolve, path === '/slow' ? 200 : 10))
  return { body: name! }
}
process.send!((service.endpoint.address as { port: number }).port)
