/** What the daemon must be allowed to do (capabilities(7)): the one list, which the chart and the docs follow. */
import { readFileSync } from 'node:fs'
import { CausewayError } from './errors.ts'

export interface Capability {
  /** Without `CAP_`, as manifests of Kubernetes have it. */
  readonly name: string
  /** Its bit (include/uapi/linux/capability.h). */
  readonly number: number
  readonly why: string
}

/** All of them, for the daemon; test/node/capabilities.kernel.test.ts runs it with exactly these. */
export const CAPABILITIES: readonly Capability[] = [
  {
    name: 'NET_ADMIN',
    number: 12,
    why: 'makes devices, addresses, routes and filters, attaches programs to them, and sets sysctls of the network',
  },
  {
    name: 'SYS_ADMIN',
    number: 21,
    why: "enters pods' network namespaces, loads programs and finds maps by their ids, which BPF and PERFMON alone do not allow",
  },
]

/** Those that a process lacks whose status (proc_pid_status(5)) this is. Pure. */
export function missingCapabilities(status: string): readonly Capability[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return CAPABILITIES.filter(({ number }) => ((effective >> BigInt(number)) & 1n) === 0n)
}

/** Those that this process lacks. */
export function ownMissingCapabilities(): readonly Capability[] {
  return missingCapabilities(readFileSync('/proc/self/status', 'utf8'))
}

/** Throws CausewayError CAPABILITIES that names each one missing, rather than let the kernel's EPERM speak later. */
export function requireCapabilities(missing: readonly Capability[] = ownMissingCapabilities()): void {
  if (missing.length === 0) return
  const lines = missing.map(({ name, why }) => `CAP_${name} is missing: it ${why}`)
  const add = `securityContext.capabilities.add: [${CAPABILITIES.map(c => c.name).join(', ')}]`
  throw new CausewayError('CAPABILITIES', `${lines.join('\n')}\nrun the daemon as root; in a container with ${add}`)
}

/** The reference page as Markdown. */
export function capabilitiesPage(): string {
  return [
    '# Capabilities of the daemon',
    '',
    'Printed from the code. The daemon runs as root with these capabilities and no others, without `privileged`, with a',
    'read-only root file system and `allowPrivilegeEscalation: false`. The operator has none and is no root.',
    '',
    '| capability | what for |',
    '| --- | --- |',
    ...CAPABILITIES.map(({ name, why }) => `| \`${name}\` | ${why} |`),
    '',
  ].join('\n')
}
