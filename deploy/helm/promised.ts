/**
 * Keys of the configuration and plugins that values name before the code has them. A test asks that each goes from here
 * when it comes there.
 */

/** Plugins by the name of their section. */
export const PROMISED_PLUGINS: readonly string[] = ['node-cidr']

/** JSON schemas of keys, by dotted name. */
export const PROMISED_KEYS: Readonly<Record<string, object>> = {
  'cni.exclusive': { type: 'boolean' },
  'paths.sysctl': { type: 'string', pattern: '^(/[^/]+)+$' },
}
