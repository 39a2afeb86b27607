/** The plugin's section of the configuration: checked, with every error naming the key and what is allowed. */
import * as z from 'zod/mini'
import { ConfigError, DEFAULT_POOL } from '../../daemon/plugin.ts'
import { POOL_KEYS, POOL_KEYS_ALLOWED, poolKeys, type PoolOptions, shownAt } from '../pool-core/options.ts'

const section = z.strictObject(POOL_KEYS)

/** What is allowed, by the first word of a key within the section. */
const ALLOWED: Readonly<Record<string, string>> = {
  '': 'a group with the keys exclude and cooldownSeconds',
  ...POOL_KEYS_ALLOWED,
}

/** Checks the section `node-cidr`; throws ConfigError. Nothing given means every address of the node's pod ranges. */
export function parseOptions(raw: unknown): PoolOptions {
  const result = section.safeParse(raw ?? {})
  if (!result.success) throw errorOf(raw, result.error.issues[0])
  return { name: DEFAULT_POOL, ...poolKeys('node-cidr', result.data) }
}

function errorOf(raw: unknown, issue: z.core.$ZodIssue | undefined): ConfigError {
  const path = issue?.path ?? []
  const key = ['node-cidr', ...path].join('.')
  if (issue?.code === 'unrecognized_keys')
    return new ConfigError(`${key}.${issue.keys[0]}`, 'unknown key; known here: exclude and cooldownSeconds')
  return new ConfigError(key, `${shownAt(raw, path)} is not allowed; allowed: ${ALLOWED[String(path[0] ?? '')]}`)
}
