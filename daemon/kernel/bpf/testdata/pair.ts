/** For the tests of this folder: a network namespace with a pair of devices, and packets sent into it. */
import { closeSync } from 'node:fs'
import { NetlinkNet } from '../../netlink/net.ts'
import { openNewNetns } from '../../netns/create.ts'
import { inNetns } from '../../netns/in-netns.ts'
import { libcFunction, Memory } from '../../sys.ts'

/** Both ends are up; what leaves by `cw-peer` arrives at `cw-hook`. Disposing removes everything. */
export interface DevicePair extends Disposable {
  readonly netns: number
  readonly hook: number
  readonly peer: number
}

export function openPair(kind: 'veth' | 'netkit' = 'veth'): DevicePair {
  using stack = new DisposableStack()
  const netns = stack.use(openNewNetns())
  using net = new NetlinkNet(netns.path)
  const ends = { name: 'cw-hook', addrGenMode: 'none', peer: { name: 'cw-peer' } } as const
  net.run([
    { op: 'link-add', link: kind === 'veth' ? { kind, ...ends } : { kind, mode: 'l2', ...ends } },
    { op: 'link-set', link: 'cw-peer', addrGenMode: 'none', up: true },
    { op: 'link-set', link: 'cw-hook', up: true },
  ])
  const index = (name: string): number => net.link(name)?.index ?? 0
  const [hook, peer] = [index('cw-hook'), index('cw-peer')]
  const owned = stack.move()
  return { netns: netns.fd, hook, peer, [Symbol.dispose]: () => owned.dispose() }
}

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCKADDR_LL_SIZE = 20
const socket = libcFunction('int socket(int domain, int type, int protocol)')
const sendto = libcFunction(
  'long sendto(int fd, void *data, size_t length, int flags, void *address, unsigned int addressLength)',
)

/** Sends frames out of a device from threads of the pool, so that they arrive while the caller goes on. */
export class FrameSender implements Disposable {
  readonly #fd: number
  readonly #address = new Memory(SOCKADDR_LL_SIZE)
  readonly #frame = new Memory(64)
  readonly #toldOfDrops: boolean

  /** `toldOfDrops`: the device's own program drops frames, and whoever sends them is told (netkit: ENOBUFS). */
  constructor(netns: number, ifindex: number, { toldOfDrops = false }: { readonly toldOfDrops?: boolean } = {}) {
    this.#toldOfDrops = toldOfDrops
    this.#fd = inNetns(netns, () => socket()(AF_PACKET, SOCK_RAW, 0) as number)
    this.#address.view.setUint16(0, AF_PACKET, true)
    this.#address.view.setInt32(4, ifindex, true)
    // To everyone, of the type kept for experiments: nobody answers.
    this.#frame.bytes.fill(0xff, 0, 6)
    this.#frame.view.setUint16(12, 0x88b5)
  }

  send(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { pointer, bytes } = this.#frame
      const done = (_: unknown, n: number): void => {
        if (n === bytes.length || this.#toldOfDrops) resolve()
        else reject(new Error('frame not sent'))
      }
      sendto().async(this.#fd, pointer, bytes.length, 0, this.#address.pointer, SOCKADDR_LL_SIZE, done)
    })
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
    this.#address[Symbol.dispose]()
    this.#frame[Symbol.dispose]()
  }
}
