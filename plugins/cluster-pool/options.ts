/** The plugin's section of the configuration: checked, with every error naming the key and what is allowed. */
import * as z from 'zod/mini'
import { covers, formatPrefix, type IpPrefix, parsePrefix } from '../../daemon/kernel/ip.ts'
import { ConfigError, DEFAULT_POOL } from '../../daemon/plugin.ts'
import { POOL_KEYS, POOL_KEYS_ALLOWED, poolKeys, type PoolOptions, prefixOf, shownAt } from '../pool-core/options.ts'

const section = z.strictObject({
  pools: z.optional(
    z
      .array(
        z.strictObject({
          name: z.string().check(z.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)),
          ranges: z.optional(z.array(z.string()).check(z.minLength(1))),
          ...POOL_KEYS,
        }),
      )
      .check(z.minLength(1)),
  ),
})
type RawPool = NonNullable<z.infer<typeof section>['pools']>[number]

/** What is allowed, by the last word of a key. */
const ALLOWED: Readonly<Record<string, string>> = {
  'cluster-pool': 'a group with the key pools',
  pools: 'a list of at least one pool',
  pool: 'a group with the keys name, ranges, exclude and cooldownSeconds',
  name: 'up to 63 lower-case letters, digits and -, such as default',
  ranges: 'a list of at least one prefix such as 10.64.0.0/16 or fd00:64::/48',
  ...POOL_KEYS_ALLOWED,
}

/** Addresses that are no pod's: this host, loopback, link-local, mapped, multicast and reserved ones. */
const UNUSABLE = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/96',
  '::ffff:0:0/96',
  'fe80::/10',
  'ff00::/8',
]

/** Checks the section `cluster-pool`; throws ConfigError. Nothing given means one pool of all pod ranges of the node. */
export function parseOptions(raw: unknown): readonly PoolOptions[] {
  const result = section.safeParse(raw ?? {})
  if (!result.success) throw errorOf(raw, result.error.issues[0])
  const pools = (result.data.pools ?? [{ name: DEFAULT_POOL }]).map(poolOf)
  for (const [i, pool] of pools.entries()) checkAgainst(pool, `cluster-pool.pools.${i}`, pools.slice(0, i))
  return pools
}

function poolOf(raw: RawPool, i: number): PoolOptions {
  const key = `cluster-pool.pools.${i}`
  const ranges = raw.ranges?.map((text, n) => rangeOf(`${key}.ranges.${n}`, text))
  const { exclude, cooldownMs } = poolKeys(key, raw)
  for (const [n, range] of (ranges ?? []).entries())
    refuseOverlap(`${key}.ranges.${n}`, range, ranges?.slice(0, n) ?? [], 'another range of the pool')
  for (const [n, prefix] of exclude.entries())
    if (ranges && !ranges.some(range => covers(range, prefix)))
      throw new ConfigError(
        `${key}.exclude.${n}`,
        `${formatPrefix(prefix)} is in no range of the pool; allowed: parts of ${ranges.map(formatPrefix).join(', ')}`,
      )
  return { name: raw.name, exclude, cooldownMs, ...(ranges && { ranges }) }
}

/** Pools have names and addresses of their own. */
function checkAgainst(pool: PoolOptions, key: string, earlier: readonly PoolOptions[]): void {
  for (const other of earlier) {
    if (other.name === pool.name) throw new ConfigError(`${key}.name`, `another pool is called '${pool.name}' already`)
    if (!pool.ranges || !other.ranges)
      throw new ConfigError(`${key}.ranges`, 'only a single pool may do without ranges; allowed: ranges in every pool')
    for (const [n, range] of pool.ranges.entries())
      refuseOverlap(`${key}.ranges.${n}`, range, other.ranges, `a range of pool '${other.name}'`)
  }
}

function refuseOverlap(key: string, range: IpPrefix, others: readonly IpPrefix[], what: string): void {
  const overlap = others.find(other => covers(other, range) || covers(range, other))
  if (overlap)
    throw new ConfigError(
      key,
      `${formatPrefix(range)} overlaps ${formatPrefix(overlap)}, ${what}; allowed: ranges apart`,
    )
}

function rangeOf(key: string, text: string): IpPrefix {
  const prefix = prefixOf(key, text, 'a prefix such as 10.64.0.0/16 or fd00:64::/48')
  const unusable = UNUSABLE.map(parsePrefix).find(other => covers(other, prefix) || covers(prefix, other))
  if (unusable)
    throw new ConfigError(
      key,
      `${text} overlaps ${formatPrefix(unusable)}, whose addresses no pod can have; allowed: unicast ranges`,
    )
  return prefix
}

function errorOf(raw: unknown, issue: z.core.$ZodIssue | undefined): ConfigError {
  const path = ['cluster-pool', ...(issue?.path ?? [])]
  if (issue?.code === 'unrecognized_keys') {
    const known = path.length === 1 ? 'pools' : 'name, ranges, exclude and cooldownSeconds'
    return new ConfigError([...path, issue.keys[0]].join('.'), `unknown key; known here: ${known}`)
  }
  const words = path.filter(part => typeof part === 'string')
  const last = typeof path.at(-1) === 'number' && words.at(-1) === 'pools' ? 'pool' : String(words.at(-1))
  return new ConfigError(path.join('.'), `${shownAt(raw, path.slice(1))} is not allowed; allowed: ${ALLOWED[last]}`)
}
