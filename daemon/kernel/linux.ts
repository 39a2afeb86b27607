/** The port `Kernel` of kernel.ts over the Linux the process runs on. */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import type { Feature, FeatureName, Kernel, Net, NetnsId } from './kernel.ts'
import { NetlinkNet } from './netlink/net.ts'
import { netnsId } from './netns/netns-file.ts'
import { FeatureProbes } from './probe.ts'
import { readSysctl, writeSysctl } from './sysctl.ts'

/**
 * Holds a netlink socket in the namespace the thread stands in at construction. Await `warmThreadPool` before other
 * namespaces are used.
 */
export class LinuxKernel implements Kernel, Disposable {
  readonly net: Net = new NetlinkNet('/proc/thread-self/ns/net')
  readonly bootId: string = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  readonly release: string = release()
  readonly #probes = new FeatureProbes()
  readonly #sysctls: string | undefined

  /** `sysctls` is a place where /proc/sys is mounted; /proc/sys itself unless given. */
  constructor({ sysctls }: { readonly sysctls?: string } = {}) {
    this.#sysctls = sysctls
  }

  openNet(netnsPath: string): Net {
    return new NetlinkNet(netnsPath)
  }
  netnsId(netnsPath: string): NetnsId | undefined {
    return netnsId(netnsPath)
  }
  sysctl(name: string, netnsPath?: string): string | undefined {
    return readSysctl(name, netnsPath, this.#sysctls)
  }
  setSysctl(name: string, value: string, netnsPath?: string): void {
    writeSysctl(name, value, netnsPath, this.#sysctls)
  }
  feature(name: FeatureName): Feature {
    return this.#probes.feature(name)
  }

  [Symbol.dispose](): void {
    this.net[Symbol.dispose]()
  }
}
