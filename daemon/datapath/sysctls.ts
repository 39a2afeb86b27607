/** What the node's namespace must allow for pods to be reached, kept so while the daemon runs. */
import { ConfigError } from '../errors.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { NotSupported } from '../kernel/errors.ts'
import type { Family, Kernel } from '../kernel/kernel.ts'
import { deviceSysctl } from '../kernel/sysctl-name.ts'
import { NODE_PORTS, type ProgramConstants } from './constants.ts'
import { MasqueradeFlags } from './shared.gen.ts'

export interface Sysctl {
  readonly name: string
  readonly value: string
  /** A value somebody chose on purpose, which is left alone. */
  readonly unless?: string
  readonly why: string
}

/** The settings by family of pods and uplink; by NAT64 what pods send becomes IPv4 besides. Pure. */
export function desiredSysctls(
  families: readonly Family[],
  uplinks: readonly string[],
  constants: ProgramConstants = {},
): readonly Sysctl[] {
  const nat64 = (Number(constants['masquerade_flags'] ?? 0) & MasqueradeFlags.MASQUERADE_NAT64) !== 0
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
    // First: a forwarding node forgets its default route of router advertisements unless told to keep it (ip-sysctl).
    ...uplinks.map(uplink => ({
      name: deviceSysctl(6, uplink, 'accept_ra'),
      value: '2',
      unless: '0',
      why: 'a forwarding node takes router advertisements only so',
    })),
    { name: 'net.ipv6.conf.all.forwarding', value: '1', why: 'the host forwards what the programs leave to it' },
  ]
  return [...(families.includes(4) || nat64 ? four : []), ...(families.includes(6) ? six : [])]
}

/**
 * Keeps the node's sockets from taking node ports as source ports, where their range holds some (ip-sysctl,
 * ip_local_reserved_ports); what is reserved already stays so.
 */
export function reservedNodePorts(kernel: Pick<Kernel, 'sysctl'>): readonly Sysctl[] {
  const [first = 0, last = 0] = numbers(kernel.sysctl('net.ipv4.ip_local_port_range') ?? '')
  const name = 'net.ipv4.ip_local_reserved_ports'
  const reserved = kernel.sysctl(name)?.trim()
  if (reserved === undefined || first > NODE_PORTS.last || last < NODE_PORTS.first) return []
  const ranges = reserved.split(',').filter(text => text !== '')
  const covers = ranges.some(range => {
    const [from = 0, to = from] = numbers(range)
    return from <= NODE_PORTS.first && to >= NODE_PORTS.last
  })
  if (covers) return []
  const value = [...ranges, `${NODE_PORTS.first}-${NODE_PORTS.last}`].join(',')
  return [{ name, value, why: 'a socket that takes a node port by chance would hear nothing' }]
}

function numbers(text: string): number[] {
  return (text.match(/\d+/g) ?? []).map(Number)
}

/** Throws NotSupported for a family that pods shall have and the kernel was started without, ConfigError without any sysctl. */
export function requireFamilies(kernel: Pick<Kernel, 'sysctl'>, families: readonly Family[]): void {
  if (kernel.sysctl('net.ipv4.ip_forward') === undefined)
    throw new ConfigError(
      'paths.sysctl',
      "the kernel's sysctls are not there; allowed: where /proc/sys of the node is, by `net`",
    )
  if (!families.includes(6) || kernel.sysctl('net.ipv6.conf.all.forwarding') !== undefined) return
  throw new NotSupported('IPv6', 'a kernel that was started without ipv6.disable=1, or families: [ipv4]')
}

/** Sets what differs and returns it with the value it had, for the log. */
export function applySysctls(
  kernel: Pick<Kernel, 'sysctl' | 'setSysctl'>,
  desired: readonly Sysctl[],
): { readonly name: string; readonly was: string }[] {
  const changed: { name: string; was: string }[] = []
  for (const { name, value, unless } of desired) {
    const was = kernel.sysctl(name)
    if (was === undefined || was === value || was === unless) continue
    kernel.setSysctl(name, value)
    changed.push({ name, was })
  }
  return changed
}

/** Applies at intervals until the signal aborts: tools such as systemd-sysctl set these without being asked. */
export async function keepSysctls(apply: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await apply()
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
}

const LOOK_EVERY_MS = 10_000
