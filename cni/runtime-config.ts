/** Capabilities the runtime fills in under `runtimeConfig` (CNI conventions): honoured, left to others, or refused. */
import { codes, failure } from './failure.ts'
import { type Fields, isObject, member, show } from './json.ts'
import { addressOf, familyOf, macOf } from './syntax.ts'

/** What the daemon is asked for; addresses without prefix length. */
export interface Wishes {
  readonly ips?: readonly string[]
  readonly mac?: string
  readonly portMappings?: readonly PortMapping[]
}

export interface PortMapping {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: string
  readonly hostIP?: string
}

/** Mere information. */
const leftAlone = ['cgroupPath', 'io.kubernetes.cri.pod-annotations']

const protocols = ['TCP', 'UDP', 'SCTP']

/** Throws code 7 for a malformed value, code 2 for a capability nobody here would carry out, bandwidth among them. */
export function readRuntimeConfig(fields: Fields): Wishes {
  const config = (member(fields, 'runtimeConfig') as Fields | undefined) ?? {}
  const wishes: { ips?: string[]; mac?: string; portMappings?: PortMapping[] } = {}
  for (const name of Object.keys(config)) {
    const value = member(config, name)
    if (value === undefined || leftAlone.indexOf(name) >= 0) continue
    if (name === 'ips') wishes.ips = readIps(value)
    else if (name === 'mac') wishes.mac = readMac(value)
    else if (name === 'portMappings') wishes.portMappings = readPortMappings(value)
    else throw failure(codes.unsupportedField, `unsupported field runtimeConfig.${name} with value ${show(value)}`)
  }
  return wishes
}

function readIps(value: unknown): string[] {
  if (!Array.isArray(value)) throw failure(codes.invalidConfiguration, 'runtimeConfig.ips: must be a list', show(value))
  return value.map((entry: unknown, index) => {
    const address = addressOf(entry)
    if (address !== undefined) return address
    throw failure(codes.invalidConfiguration, `runtimeConfig.ips[${index}]: ${show(entry)} is not an IP address`)
  })
}

function readMac(value: unknown): string {
  const mac = macOf(value)
  if (mac !== undefined) return mac
  throw failure(codes.invalidConfiguration, `runtimeConfig.mac: ${show(value)} is not a unicast MAC address`)
}

/** Without a host port there is nothing to do: runtimes list a container's other ports too. */
function readPortMappings(value: unknown): PortMapping[] {
  if (!Array.isArray(value))
    throw failure(codes.invalidConfiguration, 'runtimeConfig.portMappings: must be a list', show(value))
  const mappings: PortMapping[] = []
  value.forEach((entry: unknown, index) => {
    const refuse = (problem: string): Error =>
      failure(codes.invalidConfiguration, `runtimeConfig.portMappings[${index}]${problem}`)
    if (!isObject(entry)) throw refuse(`: ${show(entry)} is not an object`)
    const hostPort = either(entry, 'hostPort')
    if (hostPort === undefined || hostPort === 0) return
    const containerPort = either(entry, 'containerPort')
    const protocol = upper(either(entry, 'protocol') || 'tcp')
    const hostIP = either(entry, 'hostIP') || undefined
    if (!isPort(hostPort)) throw refuse(`.hostPort: ${show(hostPort)} is not a port`)
    if (!isPort(containerPort)) throw refuse(`.containerPort: ${show(containerPort)} is not a port`)
    if (protocols.indexOf(protocol) < 0) throw refuse(`.protocol: ${show(protocol)} is not tcp, udp or sctp`)
    if (hostIP === undefined) mappings.push({ hostPort, containerPort, protocol })
    else if (typeof hostIP === 'string' && familyOf(hostIP) !== 0)
      mappings.push({ hostPort, containerPort, protocol, hostIP })
    else throw refuse(`.hostIP: ${show(hostIP)} is not an IP address`)
  })
  return mappings
}

/** Runtimes write protocols in either case. */
function upper(value: unknown): string {
  return typeof value === 'string' ? value.toUpperCase() : show(value)
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && value % 1 === 0 && value >= 1 && value <= 65535
}

/** As it is specified, or with a capital as containerd writes it (go-cni's PortMapping has no names of its own). */
function either(fields: Fields, name: string): unknown {
  const value = member(fields, name)
  return value === undefined ? member(fields, name.charAt(0).toUpperCase() + name.substring(1)) : value
}
