/** Capabilities the runtime fills in under `runtimeConfig` (CNI conventions): honoured, left to others, or refused. */
import { codes, failure } from './failure.ts'
import { type Fields, member, show } from './json.ts'
import { addressOf, macOf } from './syntax.ts'

/** What the daemon is asked for; addresses without prefix length. */
export interface Wishes {
  readonly ips?: readonly string[]
  readonly mac?: string
}

/** Served by a chained `portmap`, or mere information. */
const leftAlone = ['portMappings', 'cgroupPath', 'io.kubernetes.cri.pod-annotations']

/** Throws code 7 for a malformed value, code 2 for a capability nobody here would carry out, bandwidth among them. */
export function readRuntimeConfig(fields: Fields): Wishes {
  const config = (member(fields, 'runtimeConfig') as Fields | undefined) ?? {}
  const wishes: { ips?: string[]; mac?: string } = {}
  for (const name of Object.keys(config)) {
    const value = member(config, name)
    if (value === undefined || leftAlone.indexOf(name) >= 0) continue
    if (name === 'ips') wishes.ips = readIps(value)
    else if (name === 'mac') wishes.mac = readMac(value)
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
