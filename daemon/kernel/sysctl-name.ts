/** Names of kernel settings in the two spellings of sysctl(8). Pure. */
import type { Family } from './kernel.ts'

/** Name of an interface's setting (ip-sysctl), also with a dot in the device's name; `device` may be `all` or `default`. */
export function deviceSysctl(family: Family, device: string, key: string): string {
  return `net.ipv${family}.conf.${device.replaceAll('.', '/')}.${key}`
}

/**
 * Where a setting lies below /proc/sys. Names are separated by dots or by slashes, whichever comes first; in the first
 * form a slash stands for a dot in a device's name: `net.ipv4.conf.eth0/7.forwarding` is
 * `net/ipv4/conf/eth0.7/forwarding`. Throws RangeError for what is no name.
 */
export function sysctlPath(name: string): string {
  const separator = /[./]/.exec(name)?.[0]
  const parts = separator === '/' ? name.split('/') : name.split('.').map(part => part.replaceAll('/', '.'))
  if (parts.some(part => ['', '.', '..'].includes(part))) throw new RangeError(`'${name}' is no sysctl name`)
  return parts.join('/')
}
