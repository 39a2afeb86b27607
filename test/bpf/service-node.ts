/** A node for tests of services: made before them, without services and translations before each. */
import assert from 'node:assert/strict'
import { after, before, beforeEach } from 'node:test'
import { type Layer, packet } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import type { Devices } from './devices.ts'
import { compilePrograms, type NodeOptions, type Prelude, type ProgramName, TestNode, type Verdict } from './node.ts'
import { clearServices, makeService, type TestService } from './service-maps.ts'
import type { Family } from './world.ts'

/** Where a packet comes in. */
export type Way = readonly [ProgramName, keyof Devices, Prelude?]

export interface ServiceNode {
  readonly node: TestNode
  /** Writes a service; the ids of its backends. */
  readonly make: (service: TestService) => number[]
  /** Sends a packet and compares what becomes of it. */
  readonly passes: (way: Way, sent: readonly Layer[], verdict: Verdict, comes: readonly Layer[]) => void
}

/** Call once, where hooks of the file are declared. */
export function serviceNode(options: NodeOptions = {}): ServiceNode {
  let node: TestNode
  before(async () => {
    await compilePrograms()
    node = new TestNode(options)
  })
  after(() => node[Symbol.dispose]())
  beforeEach(() => {
    clearServices(node.object('pod'))
    node.reset()
  })
  return {
    get node() {
      return node
    },
    make: service => makeService(node.object('pod'), service),
    passes: ([program, on, prelude], sent, verdict, comes) => {
      const result = node.send(program, on, sent, prelude)
      assert.equal(packetText(result.bytes), packetText(packet(...comes)))
      assert.equal(result.verdict, verdict)
    },
  }
}

/** Of a frame without options and extension headers. */
export function sourcePort(frame: Uint8Array, family: Family): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint16(family === 4 ? 34 : 54)
}

/** A port that neither the node's own sockets nor node ports may have. */
export function assertUnreserved(port: number): void {
  assert.ok(port >= 1024 && (port < 30_000 || port > 60_999), `${port}`)
}
