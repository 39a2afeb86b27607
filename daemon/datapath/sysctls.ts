/** What the node's namespace must allow for pods to be reached, kept so while the daemon runs. */
import type { Family, Kernel } from '../kernel/kernel.ts'

export interface Sysctl {
  readonly name: string
  readonly value: string
  readonly why: string
}

/** The settings by family. Pure. */
export function desiredSysctls(families: readonly Family[]): readonly Sysctl[] {
  const four: Sysctl[] = [
    { name: 'net.ipv4.ip_forward', value: '1', why: 'the host forwards what the programs leave to it' },
    {
      name: 'net.ipv4.conf.all.rp_filter',
      value: '0',
      why: 'packets of one flow may take the program in one direction and the stack in the other',
    },
    { name: 'net.ipv4.conf.default.rp_filter', value: '0', why: 'new devices inherit it' },
  ]
  const six: Sysctl[] = [
    { name: 'net.ipv6.conf.all.forwarding', value: '1', why: 'the host forwards what the programs leave to it' },
  ]
  return [...(families.includes(4) ? four : []), ...(families.includes(6) ? six : [])]
}

/** Sets what differs and returns it with the value it had, so that uninstall can put it back. */
export function applySysctls(
  kernel: Pick<Kernel, 'sysctl' | 'setSysctl'>,
  desired: readonly Sysctl[],
): { readonly name: string; readonly was: string }[] {
  const changed: { name: string; was: string }[] = []
  for (const { name, value } of desired) {
    const was = kernel.sysctl(name)
    if (was === undefined || was === value) continue
    kernel.setSysctl(name, value)
    changed.push({ name, was })
  }
  return changed
}
