/** Asking the operator of a configuration, and where it answers. */
import { readFileSync } from 'node:fs'
import { type Settings, parseListen } from '../config/schema.ts'
import { readOperatorPlace } from '../config/settings-part.ts'
import { ConfigError } from '../errors.ts'
import { ApiClient, type ApiPlace } from './client.ts'
import { type CommandContext, configOptions, formatOption, UsageError } from './command.ts'

/** Options of every command that asks it. */
export const operatorOptions = {
  address: { type: 'string', value: 'HOST:PORT', about: 'Ask there instead; an IPv6 address in brackets.' },
  ...formatOption,
  ...configOptions,
} as const

/** For the help of such a command. */
export function askedHow(command: string): string {
  return `It asks the operator of this machine, by \`operator.listen\` of the configuration. In a cluster: ${inCluster(command)}.`
}

/** What the operator that the options name answers at a path. Throws as `operatorAt`, and what a client throws. */
export async function askOperator<T>(
  { options, env, signal }: Pick<CommandContext, 'options' | 'env' | 'signal'>,
  command: string,
  path: string,
): Promise<T> {
  const input = { file: options.text('config'), set: options.texts('set'), env }
  const place = operatorAt(readOperatorPlace(input), options.text('address'), command)
  return await new ApiClient(place, signal).json<T>(path)
}

function inCluster(command: string): string {
  return `kubectl --namespace kube-system exec deployment/causeway-operator -- causeway ${command}`
}

/**
 * The operator of this machine, or of `address`. By TLS it must show the certificate of the files, and is shown it, too: it
 * has the same. Throws UsageError, and ConfigError where it does not listen or a file cannot be read.
 */
function operatorAt(
  { listen, tls }: { readonly listen: string; readonly tls: Settings['metrics']['tls'] },
  address: string | undefined,
  command: string,
): ApiPlace {
  const wayOut = `ask where one runs (${inCluster(command)}), or name its address with --address`
  const where = parseListen(address ?? listen)
  if (where === undefined && address !== undefined)
    throw new UsageError(`--address ${address}: HOST:PORT is wanted, HOST an address`, command)
  if (where === undefined) throw new ConfigError('operator.listen', `${listen}, so that nobody can be asked; ${wayOut}`)
  const { host, port } = where
  const connection = { host: ownAddress(host), port }
  const place = { who: 'operator', address: `${shown(connection.host)}:${port}`, wayOut }
  if (tls.certFile === '') return { ...place, connection, tls: false }
  const [cert, key] = [read('certFile', tls.certFile), read('keyFile', tls.keyFile)]
  // The certificate is for the names that others use; this very one is trusted, whoever signed it.
  const pinned = { ca: cert, cert, key, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  return { ...place, connection: { ...connection, ...pinned }, tls: true }
}

/** What stands for all addresses of a machine is listened on at its loopback, too. */
function ownAddress(host: string): string {
  if (host === '::') return '::1'
  return host === '' || host === '0.0.0.0' ? '127.0.0.1' : host
}

function shown(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function read(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`metrics.tls.${key}`, (cause as Error).message, { cause })
  }
}
