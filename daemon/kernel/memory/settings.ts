/**
 * The sysctls of a namespace in memory: those the daemon knows, with the values a fresh kernel has; every other name is
 * one that this kernel lacks. Kept by their path below /proc/sys.
 */
import { sysctlPath } from '../sysctl-name.ts'
import { refuse } from './refuse.ts'

const SIMPLE: Readonly<Record<string, string>> = { 'net/ipv4/ip_forward': '0' }
/** Of each interface, of `all` and of `default`, by family. */
const OF_DEVICES: Readonly<Record<string, string>> = {
  'ipv4/rp_filter': '0',
  'ipv6/accept_ra': '1',
  'ipv6/disable_ipv6': '0',
  'ipv6/forwarding': '0',
}

export class Settings {
  readonly #values = new Map<string, string>()
  readonly #devices: () => Iterable<string>

  /** `devices` names the links there are. */
  constructor(devices: () => Iterable<string>) {
    this.#devices = devices
  }

  /** Undefined when there is no such setting; throws RangeError for a bad name. */
  get(name: string): string | undefined {
    const path = sysctlPath(name)
    const initial = SIMPLE[path] ?? this.#initial(path)
    return initial === undefined ? undefined : (this.#values.get(path) ?? initial)
  }

  /** Throws ENOENT for what is not there. */
  set(name: string, value: string): void {
    const path = sysctlPath(name)
    if (this.get(name) === undefined) throw refuse('ENOENT', `set ${name}`)
    this.#values.set(path, value)
    const of = partsOf(path)
    if (of?.device !== 'all' || of.family !== 'ipv6') return
    // Linux carries these over to every device and to the default (addrconf_disable_ipv6, addrconf_fixup_forwarding).
    if (!['disable_ipv6', 'forwarding'].includes(of.key)) return
    for (const device of ['default', ...this.#devices()]) this.#values.set(`net/ipv6/conf/${device}/${of.key}`, value)
  }

  /** A new link starts with what `default` says. */
  inherit(device: string): void {
    for (const [path, value] of this.#values) {
      const of = partsOf(path)
      if (of?.device === 'default') this.#values.set(`net/${of.family}/conf/${device}/${of.key}`, value)
    }
  }

  /** The settings of a link go with it. */
  forget(device: string): void {
    for (const path of this.#values.keys()) if (partsOf(path)?.device === device) this.#values.delete(path)
  }

  #initial(path: string): string | undefined {
    const of = partsOf(path)
    const there = of && ['all', 'default', ...this.#devices()].includes(of.device)
    return there ? OF_DEVICES[`${of.family}/${of.key}`] : undefined
  }
}

function partsOf(path: string): { readonly family: string; readonly device: string; readonly key: string } | undefined {
  const [, family = '', device = '', key = ''] = /^net\/(ipv[46])\/conf\/([^/]+)\/([^/]+)$/.exec(path) ?? []
  return family === '' ? undefined : { family, device, key }
}
