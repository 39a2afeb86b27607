/**
 * A node with two network interfaces whose addresses pods have: A has one of the second, B of the first. Programs are
 * attached, and what leaves is caught behind both: a verdict does not tell the device.
 */
import assert from 'node:assert/strict'
import { nicKey } from '../../daemon/datapath/nic-ways.ts'
import { nicWayLayout, rangeKeyLayout } from '../../daemon/datapath/shared.gen.ts'
import { codec } from '../../daemon/kernel/bpf/layout.ts'
import { hostPrefix, toMapped16, toMappedPrefix } from '../../daemon/kernel/ip.ts'
import { eventually } from '../support/eventually.ts'
import { eth, type Layer, packet, payload } from '../support/packet.ts'
import { PacketSocket } from '../support/packet-socket.ts'
import { packetText } from '../support/packet-text.ts'
import { type NodeOptions, TestNode } from './node.ts'
import { A, B, type Both, FAMILIES, HOST, NIC, NIC_MAC, NIC_ROUTER, ROUTER, UPLINK_MAC } from './world.ts'

export type Nic = 'first' | 'second'
/** A frame as it leaves by an interface for its router, and as it comes in. */
export const OUT: Readonly<Record<Nic, Layer>> = {
  first: eth({ src: UPLINK_MAC, dst: ROUTER.mac }),
  second: eth({ src: NIC_MAC, dst: NIC_ROUTER.mac }),
}
export const IN: Readonly<Record<Nic, Layer>> = {
  first: eth({ src: ROUTER.mac, dst: UPLINK_MAC }),
  second: eth({ src: NIC_ROUTER.mac, dst: NIC_MAC }),
}
const MTU = 1500
/** Of the second; both pods' addresses lie in it. */
const BLOCK: Both = { 4: '10.10.0.0/28', 6: 'fd00:10::/80' }

export class NicNode implements Disposable {
  readonly node: TestNode
  readonly pods: Readonly<Record<'a' | 'b', PacketSocket>>
  /** Behind the interfaces. */
  readonly behind: Readonly<Record<Nic, PacketSocket>>
  /** On the host's side of them: what is sent here leaves as the host's own. */
  readonly host: Readonly<Record<Nic, PacketSocket>>
  readonly #stack: DisposableStack
  #tests = 0

  /** `await compilePrograms()` first. */
  constructor(options: NodeOptions) {
    using stack = new DisposableStack()
    this.node = stack.use(new TestNode(options))
    for (const pod of ['a', 'b'] as const) this.node.attach({ ingress: 'pod_out' }, pod)
    for (const nic of ['uplink', 'nic'] as const) this.node.attach({ ingress: 'uplink_in', egress: 'uplink_out' }, nic)
    const socket = (device: string): PacketSocket => stack.use(new PacketSocket(this.node.netns, device))
    this.pods = { a: socket('a-peer'), b: socket('b-peer') }
    this.behind = { first: socket('up-peer'), second: socket('nic-peer') }
    this.host = { first: socket('up'), second: socket('nic') }
    this.giveNics()
    this.#stack = stack.move()
  }

  /** What the daemon writes of both; `second` is the index of the one, 0 when the machine does not have it. */
  giveNics(second = this.node.devices.nic, mtu = MTU): void {
    using ways = this.node.object('pod').map('nic_ways', codec(rangeKeyLayout, nicWayLayout))
    ways.deleteBatch([...ways.entries()].map(([key]) => key))
    for (const f of FAMILIES) {
      const first = { gateway: toMapped16(ROUTER[f]), ifindex: this.node.devices.uplink, mtu: MTU }
      const other = { gateway: toMapped16(NIC_ROUTER[f]), ifindex: second, mtu }
      const has = (prefix: string, way: typeof other): void => {
        const { bytes, length } = toMappedPrefix(prefix)
        ways.update({ prefixLength: length, address: bytes }, way)
      }
      for (const address of [HOST[f], B[f]]) has(hostPrefix(address), first)
      // B's is the longer one.
      for (const prefix of [hostPrefix(NIC[f]), BLOCK[f]]) has(prefix, other)
      for (const way of [first, other]) if (way.ifindex !== 0) ways.update(nicKey(way.ifindex, f), way)
    }
  }

  /** B has an address of no interface. */
  forgetB(): void {
    using ways = this.node.object('pod').map('nic_ways', codec(rangeKeyLayout, nicWayLayout))
    for (const f of FAMILIES) {
      const block = toMappedPrefix(BLOCK[f])
      const way = ways.lookup({ prefixLength: block.length, address: block.bytes })
      assert.ok(way)
      for (const prefix of [BLOCK[f], hostPrefix(B[f])]) {
        const { bytes, length } = toMappedPrefix(prefix)
        ways.delete({ prefixLength: length, address: bytes })
      }
      ways.update({ prefixLength: 128, address: toMapped16(A[f]) }, way)
    }
  }

  /** Begins a test: flows are forgotten, and frames are told from those before. */
  begin(): void {
    this.#tests++
    this.node.reset()
    this.giveNics()
  }

  /** Content that tells the test's frames from all others. */
  get mark(): Layer {
    return payload(this.#text)
  }

  /** Waits for the one frame of this test, which must come out behind that interface. */
  async leaves(by: Nic, ...layers: readonly Layer[]): Promise<void> {
    await eventually(() => this.#caught('first').length + this.#caught('second').length > 0)
    const seen = { first: this.#caught('first'), second: this.#caught('second') }
    assert.deepEqual(seen, { first: [], second: [], [by]: [packetText(packet(OUT[by], ...layers))] })
    this.#tests++
  }

  get #text(): string {
    return `frame ${this.#tests} of the test`
  }

  /** What was sent there by the test itself came in; it is none that left. */
  #caught(nic: Nic): string[] {
    const incoming = packet(IN[nic]).subarray(0, 12)
    return this.behind[nic]
      .frames()
      .filter(frame => Buffer.from(frame).includes(this.#text) && Buffer.compare(frame.subarray(0, 12), incoming) !== 0)
      .map(packetText)
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}
