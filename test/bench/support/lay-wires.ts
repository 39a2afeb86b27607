/** Carries out the plan of wires.ts in the kernel. */
import { join, resolve } from 'node:path'
import { addressLayout } from '../../../daemon/datapath/shared.gen.ts'
import { codec, u32 } from '../../../daemon/kernel/bpf/layout.ts'
import { loadObject } from '../../../daemon/kernel/bpf/object.ts'
import { toMapped16 } from '../../../daemon/kernel/ip.ts'
import type { Kernel } from '../../../daemon/kernel/kernel.ts'
import { keepNetfilterOut } from '../../../deploy/lab/up.ts'
import { compileIfStale } from '../../../deploy/setup/compile-bpf.mjs'
import { FLOOR_BLOCK, floorDevice, planWires, ROUTED, wireAddress, type WirePlaces } from './wires.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

/** Lays all wires of wires.ts. Disposing lets go of the floor's program, which works on until its namespace goes. */
export async function layWires(kernel: Kernel, places: WirePlaces): Promise<Disposable> {
  for (const netns of [...ROUTED.map(wire => places[wire]), places.across[0], places.across[2]])
    for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) kernel.setSysctl(name, '1', netns)
  for (const netns of [places.bridge, places.across[1]]) keepNetfilterOut(kernel, netns)
  for (const { netns, requests } of planWires(places)) {
    using net = kernel.openNet(netns)
    net.run(requests)
  }
  return await layFloor(kernel, places.floor)
}

/** Puts the floor's program on its block and tells it where the ends are. */
async function layFloor(kernel: Kernel, netns: string): Promise<Disposable> {
  const output = join(ROOT, 'build/bench/floor.o')
  await compileIfStale({ root: ROOT, source: join(ROOT, 'test/bench/floor.bpf.c'), output })
  const object = loadObject(output)
  using net = kernel.openNet(netns)
  using places = object.map('places', codec(addressLayout, u32))
  for (const end of [1, 2] as const)
    for (const family of [4, 6] as const)
      places.update(toMapped16(wireAddress('floor', end, family)), net.link(floorDevice(end))?.index ?? 0)
  const programFd = object.programFd('floor_out')
  net.run([{ op: 'filter-replace', at: { block: FLOOR_BLOCK }, priority: 1, programFd, name: 'floor_out' }])
  return object
}
