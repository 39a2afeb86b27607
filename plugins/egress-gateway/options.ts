/** The plugin's section of the configuration: checked, with every error naming the key and what is allowed. */
import * as z from 'zod/mini'
import { ConfigError } from '../../daemon/plugin.ts'

export interface GatewayOptions {
  /** TCP port of gateways' nodes that is asked whether they are there; it need not be open, but must not be filtered. */
  readonly probePort: number
  readonly probeIntervalMs: number
  /** What is not answered by then is not answered. */
  readonly probeTimeoutMs: number
  /** So many questions in a row without an answer make a gateway dead, so many answers alive again. */
  readonly probes: number
  /** A new pod waits so long for its labels. */
  readonly labelsWaitMs: number
}

const whole = (least: number, most: number, usual: number) =>
  z._default(z.number().check(z.int(), z.gte(least), z.lte(most)), usual)

const section = z.strictObject({
  probePort: whole(1, 65_535, 10_250),
  probeIntervalMs: whole(50, 60_000, 300),
  probeTimeoutMs: whole(50, 60_000, 400),
  probes: whole(1, 100, 3),
  labelsWaitMs: whole(0, 30_000, 2000),
})

const ALLOWED: Readonly<Record<string, string>> = {
  'egress-gateway': `a group with the keys probePort, probeIntervalMs, probeTimeoutMs, probes and labelsWaitMs`,
  probePort: 'a port from 1 to 65535',
  probeIntervalMs: 'milliseconds from 50 to 60000',
  probeTimeoutMs: 'milliseconds from 50 to 60000',
  probes: 'a number from 1 to 100',
  labelsWaitMs: 'milliseconds from 0 to 30000',
}

/** Checks the section `egress-gateway`; throws ConfigError. */
export function parseOptions(raw: unknown): GatewayOptions {
  const result = section.safeParse(raw ?? {})
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = ['egress-gateway', ...(issue?.path ?? []).map(String)]
  if (issue?.code === 'unrecognized_keys' && issue.keys[0] !== undefined)
    throw new ConfigError([...path, issue.keys[0]].join('.'), `unknown key; allowed: ${ALLOWED['egress-gateway']}`)
  throw new ConfigError(path.join('.'), `is not allowed; allowed: ${ALLOWED[path.at(-1) ?? '']}`)
}
