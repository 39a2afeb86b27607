/** The plugin's section of the configuration: checked, with every error naming the key and what is allowed. */
import * as z from 'zod/mini'
import { canonicalAddress, canonicalPrefix, familyIn } from '../../daemon/kernel/ip.ts'
import type { Address, Prefix } from '../../daemon/kernel/kernel.ts'
import { ConfigError } from '../../daemon/plugin.ts'
import { MOST_ADDRESSES } from './egress.ts'

export interface MasqueradeOptions {
  /** Families whose packets are masqueraded. */
  readonly ipv4: boolean
  readonly ipv6: boolean
  /** What goes to other nodes' own addresses is masqueraded too. */
  readonly nodes: boolean
  /** What nodes' external addresses count as: outside they are masqueraded to, as nodes as `nodes` says. */
  readonly externalAddresses: 'outside' | 'nodes'
  /** Protocols without ports: by their addresses alone, or not let out. */
  readonly otherProtocols: 'translate' | 'drop'
  /** Of this node; empty: of each uplink the one it is known by. */
  readonly addresses: readonly Address[]
  /** What goes there keeps its address. */
  readonly nativeRanges: readonly Prefix[]
  /** What goes there goes out as IPv4, to the address in the last 32 bits; canonical, of 96 bits. Empty: no NAT64. */
  readonly nat64Prefixes: readonly Prefix[]
  /** A file as ip-masq-agent reads it; its ranges count besides. */
  readonly agentFile?: string
}

/** What networks use unless they have a prefix of their own (RFC 6052 section 2.1). */
const WELL_KNOWN = '64:ff9b::/96'

const section = z.strictObject({
  ipv4: z._default(z.boolean(), true),
  ipv6: z._default(z.boolean(), true),
  nodes: z._default(z.boolean(), false),
  externalAddresses: z._default(z.enum(['outside', 'nodes']), 'outside'),
  otherProtocols: z._default(z.enum(['translate', 'drop']), 'translate'),
  addresses: z._default(z.array(z.string()), []),
  nativeRanges: z._default(z.array(z.string()), []),
  nat64: z.optional(z.strictObject({ prefixes: z._default(z.array(z.string()).check(z.minLength(1)), [WELL_KNOWN]) })),
  agentFile: z.optional(z.string().check(z.regex(/^\//))),
})

/** What is allowed, by the last word of a key. */
const ALLOWED: Readonly<Record<string, string>> = {
  masquerade:
    'a group with the keys ipv4, ipv6, nodes, externalAddresses, otherProtocols, addresses, nativeRanges, nat64 and agentFile',
  ipv4: 'true or false',
  ipv6: 'true or false',
  nodes: 'true or false',
  externalAddresses: 'outside or nodes',
  otherProtocols: 'translate or drop',
  addresses: 'a list of addresses of this node such as 192.0.2.7',
  nativeRanges: 'a list of prefixes such as 10.0.0.0/8 or fd00::/8',
  nat64: 'a group with the key prefixes, such as {prefixes: ["64:ff9b::/96"]}',
  prefixes: 'a list of at least one IPv6 prefix of 96 bits such as 64:ff9b::/96',
  agentFile: 'an absolute path such as /etc/config/ip-masq-agent',
}

/** Checks the section `masquerade`; throws ConfigError. Nothing given means everything that leaves, in both families. */
export function parseOptions(raw: unknown): MasqueradeOptions {
  const result = section.safeParse(raw ?? {})
  if (!result.success) throw errorOf(result.error.issues[0])
  const { agentFile, nat64, ...options } = result.data
  return {
    ...options,
    addresses: addressesOf(options.addresses),
    nativeRanges: options.nativeRanges.map((text, n) => readAs(canonicalPrefix, `masquerade.nativeRanges.${n}`, text)),
    nat64Prefixes: (nat64?.prefixes ?? []).map((text, n) => nat64Prefix(`masquerade.nat64.prefixes.${n}`, text)),
    ...(agentFile !== undefined && { agentFile }),
  }
}

/** Each once, and of each family no more than the programs take. */
function addressesOf(texts: readonly string[]): readonly Address[] {
  const seen: Address[] = []
  for (const [n, text] of texts.entries()) {
    const key = `masquerade.addresses.${n}`
    const address = readAs(canonicalAddress, key, text)
    if (seen.includes(address)) throw new ConfigError(key, `${address} is named twice; allowed: each address once`)
    seen.push(address)
    const family = familyIn(address)
    if (seen.filter(other => familyIn(other) === family).length > MOST_ADDRESSES)
      throw new ConfigError(key, `too many of IPv${family}; allowed: up to ${MOST_ADDRESSES} of each family`)
  }
  return seen
}

function nat64Prefix(key: string, text: string): Prefix {
  const prefix = readAs(canonicalPrefix, key, text)
  if (prefix.includes(':') && prefix.endsWith('/96')) return prefix
  const reason =
    'only behind 96 bits is the IPv4 address the last 32 (RFC 6052 section 2.2), which is what is translated'
  throw new ConfigError(key, `${prefix} does not stand for IPv4 here: ${reason}; allowed: ${ALLOWED['prefixes']}`)
}

function readAs(read: (text: string) => string, key: string, text: string): string {
  try {
    return read(text)
  } catch (cause) {
    const reason = cause instanceof Error ? `${cause.message}; ` : ''
    throw new ConfigError(key, `${reason}allowed: ${ALLOWED[key.split('.').at(-2) ?? '']}`, { cause })
  }
}

interface Issue {
  readonly code?: string
  readonly path: readonly PropertyKey[]
  readonly keys?: readonly string[]
}

function errorOf(issue: Issue | undefined): ConfigError {
  const path = ['masquerade', ...(issue?.path ?? []).map(String)]
  const [unknown] = issue?.keys ?? []
  if (issue?.code === 'unrecognized_keys' && unknown !== undefined)
    return new ConfigError([...path, unknown].join('.'), `unknown key; allowed: ${ALLOWED['masquerade']}`)
  const name = path.findLast(part => part in ALLOWED) ?? 'masquerade'
  return new ConfigError(path.join('.'), `is not allowed; allowed: ${ALLOWED[name]}`)
}
