// How a case is written down: a rule as its title, and what is sent and what must come back, in order.
import type { Peer } from './peer.js'

/** Frames to send, or an expectation to wait for. */
export type Step<P extends Peer> = (peer: P) => Buffer[] | Promise<void>

export interface Case<P extends Peer> {
  title: string
  /** 'bare': the steps make the beginning of the connection themselves. */
  start: 'handshake' | 'bare'
  steps: Step<P>[]
}

export interface Section<C> {
  group: 'generic' | 'http2' | 'hpack' | 'client'
  number: string
  cases: C[]
}

export async function run<P extends Peer>(peer: P, steps: Step<P>[]): Promise<void> {
  for (const step of steps) {
    const outcome = step(peer)
    if (Array.isArray(outcome)) peer.send(...outcome)
    else await outcome
  }
}

/** Every case with the title it runs under: `http2 6.5.2/3: a SETTINGS_MAX_FRAME_SIZE below ...`. */
export function named<C extends { title: string }>(sections: Section<C>[]): { name: string; one: C }[] {
  return sections.flatMap(section =>
    section.cases.map((one, place) => ({ name: `${section.group} ${section.number}/${place + 1}: ${one.title}`, one })),
  )
}
