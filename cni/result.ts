/** The result of ADD in the form of each version of the specification (section 5, and the same of 0.3.1 to 1.0.0). */
import { codes, failure } from './failure.ts'
import { type Fields, isObject, member, pick, show } from './json.ts'
import { newestVersion, type Version } from './versions.ts'

const addressNames = ['address', 'gateway', 'interface']
const dnsNames = ['nameservers', 'domain', 'search', 'options']
const olderForm = { interfaces: ['name', 'mac', 'sandbox'], routes: ['dst', 'gw'] }
const newestForm = {
  interfaces: ['name', 'mac', 'mtu', 'sandbox', 'socketPath', 'pciID'],
  routes: ['dst', 'gw', 'mtu', 'advmss', 'priority', 'table', 'scope'],
}

/**
 * Turns the daemon's answer (form of 1.1.0, no `cniVersion`) into the form of a version; members that version does not
 * know are dropped. Addresses, routes and DNS of a `previous` result without interfaces are passed on behind ours.
 * Throws code 101 when the answer is no result.
 */
export function convertResult(answer: unknown, version: Version, previous: Fields | undefined): Fields {
  if (!isObject(answer)) throw notAResult('the answer', answer)
  const before = previous ?? {}
  const form = version === newestVersion ? newestForm : olderForm
  const addresses = [...list(answer, 'ips', 'address'), ...list(before, 'ips', 'address')]
  const routes = [...list(answer, 'routes', 'dst'), ...list(before, 'routes', 'dst')]
  const result: Record<string, unknown> = { cniVersion: version }
  result.interfaces = list(answer, 'interfaces', 'name').map(i => pick(i, form.interfaces))
  result.ips = addresses.map(a => (version.charAt(0) === '0' ? addressWithFamily(a) : pick(a, addressNames)))
  if (routes.length > 0) result.routes = routes.map(r => pick(r, form.routes))
  const dns = member(answer, 'dns') ?? member(before, 'dns')
  if (isObject(dns)) result.dns = pick(dns, dnsNames)
  return result
}

/** True when a previous plugin has already made an interface. */
export function holdsInterface(result: Fields | undefined): boolean {
  const interfaces = result === undefined ? undefined : member(result, 'interfaces')
  return Array.isArray(interfaces) && interfaces.length > 0
}

/** Up to 0.4.0 each address says its family in `version`. */
function addressWithFamily(address: Fields): Fields {
  const converted = pick(address, addressNames)
  converted.version = String(address.address).indexOf(':') >= 0 ? '6' : '4'
  return converted
}

/** A list of objects which each have `key` as a string; absent is empty. */
function list(fields: Fields, name: string, key: string): Fields[] {
  const entries = member(fields, name) ?? []
  if (!Array.isArray(entries)) throw notAResult(name, entries)
  for (const entry of entries as unknown[]) {
    if (!isObject(entry) || typeof member(entry, key) !== 'string') throw notAResult(`${name}[].${key}`, entry)
  }
  return entries as Fields[]
}

function notAResult(what: string, value: unknown): Error {
  return failure(codes.badAnswer, `the result of ADD cannot be understood: ${what}`, show(value))
}
