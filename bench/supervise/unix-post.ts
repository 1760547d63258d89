// One POST over a unix socket: the control interfaces of two peers, without the start-up time of their command-line tools.
import { request } from 'node:http'

/** Returns the body of a 200 answer; throws with any other. */
export function unixPost(socketPath: string, path: string, body: { type: string; text: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method: 'POST', headers: { 'content-type': body.type } }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`${path}: ${response.statusCode} ${text}`))
      })
    })
    call.on('error', reject)
    call.end(body.text)
  })
}
