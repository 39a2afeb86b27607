/**
 * The configuration of ip-masq-agent (YAML or JSON), which clusters bring along: `nonMasqueradeCIDRs`, `masqLinkLocal`,
 * `masqLinkLocalIPv6`, `resyncInterval`. Pure.
 */
import { LineCounter, parseDocument } from 'yaml'
import { canonicalPrefix } from '../../daemon/kernel/ip.ts'
import type { Prefix } from '../../daemon/kernel/kernel.ts'

export interface AgentConfig {
  /** What goes there keeps the pod's address. */
  readonly ranges: readonly Prefix[]
  /** How often the file is looked at again, in case its change went unnoticed. */
  readonly resyncMs: number
  /** Keys that mean nothing here. */
  readonly ignored: readonly string[]
}

/** What is wrong with the file, and where: line and column from 1. */
export class AgentConfigError extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.name = 'AgentConfigError'
    this.line = line
  }
}

/** Of a missing or empty file: what the IANA registries of special-purpose addresses reserve (RFC 6890 and later). */
const RESERVED: readonly Prefix[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '240.0.0.0/4',
]
const LINK_LOCAL = { masqLinkLocal: '169.254.0.0/16', masqLinkLocalIPv6: 'fe80::/10' } as const
const DEFAULT_RESYNC_MS = 60_000

export const AGENT_DEFAULTS: AgentConfig = {
  ranges: [...RESERVED, ...Object.values(LINK_LOCAL)],
  resyncMs: DEFAULT_RESYNC_MS,
  ignored: [],
}

/** Reads the file's text; throws AgentConfigError naming the key and what is allowed. */
export function parseAgentConfig(text: string): AgentConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const lineAt = (offset: number | undefined): number => lines.linePos(offset ?? 0).line
  const [broken] = document.errors
  if (broken) throw new AgentConfigError(broken.message.split('\n')[0] ?? 'malformed', lineAt(broken.pos[0]))
  const content: unknown = document.toJS()
  if (content === null || content === undefined) return AGENT_DEFAULTS
  const at = (...path: readonly (string | number)[]): number => {
    const node = document.getIn(path, true) as { readonly range?: readonly number[] } | undefined
    return lineAt(node?.range?.[0])
  }
  if (typeof content !== 'object' || Array.isArray(content))
    throw new AgentConfigError('the file must be a group with the key nonMasqueradeCIDRs', 1)
  const keys = new Map(Object.entries(content as Record<string, unknown>))
  const given = keys.get('nonMasqueradeCIDRs') ?? []
  if (!Array.isArray(given))
    throw new AgentConfigError('nonMasqueradeCIDRs: must be a list of prefixes', at('nonMasqueradeCIDRs'))
  const ranges = given.map((range, i) => prefixOf(range, i, at('nonMasqueradeCIDRs', i)))
  for (const key of Object.keys(LINK_LOCAL) as (keyof typeof LINK_LOCAL)[]) {
    const masquerades = keys.get(key) ?? false
    if (typeof masquerades !== 'boolean') throw new AgentConfigError(`${key}: must be true or false`, at(key))
    if (!masquerades) ranges.push(LINK_LOCAL[key])
  }
  const resync = keys.get('resyncInterval')
  return {
    ranges: [...new Set(ranges)],
    resyncMs: resync === undefined ? DEFAULT_RESYNC_MS : durationOf(resync, at('resyncInterval')),
    ignored: [...keys.keys()].filter(key => !KNOWN.has(key)),
  }
}
const KNOWN = new Set(['nonMasqueradeCIDRs', 'resyncInterval', ...Object.keys(LINK_LOCAL)])

function prefixOf(value: unknown, i: number, line: number): Prefix {
  try {
    return canonicalPrefix(String(value))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'no prefix'
    throw new AgentConfigError(`nonMasqueradeCIDRs.${i}: ${reason}`, line)
  }
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A duration as Go writes it (time.ParseDuration), such as 1m30s; in milliseconds, a second at least. */
function durationOf(value: unknown, line: number): number {
  const parts = [...String(value).matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== String(value))
    throw new AgentConfigError(`resyncInterval: ${JSON.stringify(value)} is no duration such as 60s or 1m30s`, line)
  const ms = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit ?? ''] ?? 0), 0)
  return Math.max(1000, ms)
}
