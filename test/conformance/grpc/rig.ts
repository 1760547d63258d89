// One proxy between raw ends: what most rules of proxy.md D need to be shown.
import type { ProxySpec } from '../../../src/core/spec.js'
import { endpoint, startTestProxy, type TestProxy, type TestRoute } from '../start-proxy.js'
import { answer, grpcRequest, rawCall } from './calls.js'
import type { Field } from './hpack-reader.js'
import { openWire, type Wire, type WireOptions, type WireService, type WireStream, wireService } from './wire.js'

export interface Rig {
  service: WireService
  proxy: TestProxy
  workerPid(): number
  /** A client's connection; its windows are wide. */
  wire: Wire
  /** What the service does with a complete request. */
  act: (stream: WireStream) => void
  /** A call to the service, from its head to its end. */
  call(options?: { more?: Field[]; body?: Buffer; path?: string }): Promise<WireStream>
  /** Opens a call and leaves it to the test. */
  open(end: 'end' | 'more', more?: Field[]): WireStream
  /** The service's view of the last call. */
  seen(): WireStream
  close(): Promise<void>
}

export interface RigOptions {
  route?: Partial<TestRoute>
  /** Routes besides `/s/`. */
  routes?: (port: number) => TestRoute[]
  settings?: Partial<ProxySpec>
  service?: WireOptions
}

/** The service stands behind `/s/`, and gets the paths without it. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const service = await wireService({
    ...options.service,
    ended: stream => {
      options.service?.ended?.(stream)
      rig.act(stream)
    },
  })
  const endpoints = [endpoint(service.port)]
  const route: TestRoute = { prefix: '/s/', protocol: 'h2c', holdMs: 1000, timeoutMs: 10_000, endpoints, ...options.route }
  const proxy = await startTestProxy([route, ...(options.routes?.(service.port) ?? [])], options.settings)
  const wire = await openWire(proxy.port)
  const rig: Rig = {
    service,
    proxy,
    workerPid: () => proxy.status().workers[0]!.pid,
    wire,
    act: answer,
    call: ({ path = '/s/x.Y/Z', ...rest } = {}) => rawCall(wire, path, rest),
    open: (end, more = []) => wire.open(grpcRequest('/s/x.Y/Z', more), end),
    seen: () => service.calls.at(-1)!,
    close: async () => {
      wire.close()
      await proxy.stop()
      await service.close()
    },
  }
  return rig
}

/** All values of a field, in order; a list joined with commas counts as its parts (rule 3 allows to join). */
export function valuesOf(fields: Field[], name: string): string[] {
  return fields.filter(([each]) => each === name).flatMap(([, value]) => value.split(/, ?/))
}
