// The soak's services as the proxy's table has them: processes that are killed, retired and started again.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('service-process.js', import.meta.url))

/** HTTP/1 with WebSocket, HTTP/2, gRPC. */
export type Ports = [http: number, http2: number, grpc: number]

export class Service {
  readonly name: string
  ports: Ports = [0, 0, 0]
  isReady = false
  weight = 1
  private child: ChildProcess | null = null

  constructor(name: string) {
    this.name = name
  }

  /** On the ports it had, or on others where those are taken or not wanted. */
  async start(where: 'same' | 'elsewhere'): Promise<void> {
    const wanted: Ports[] = where === 'same' ? [this.ports, [0, 0, 0]] : [[0, 0, 0]]
    for (const ports of wanted) {
      const child = fork(PROGRAM, ports.map(String), { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
      const first = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => null)])
      if (first === null) continue
      this.child = child
      this.ports = first[0] as Ports
      this.isReady = true
      return
    }
    throw new Error(`service ${this.name} does not start`)
  }

  /** At once; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.isReady = false
    await this.end(child => child.kill('SIGKILL'))
  }

  /** It finishes what runs; the table must not lead to it any more.  Resolves when the process is gone. */
  async retire(): Promise<void> {
    await this.end(child => child.send('retire'))
  }

  private async end(how: (child: ChildProcess) => unknown): Promise<void> {
    const { child } = this
    this.child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    how(child)
    await gone
  }
}
