/** Where the operator of a configuration answers. */
import { readFileSync } from 'node:fs'
import { type Settings, parseListen } from '../config/schema.ts'
import { ConfigError } from '../errors.ts'
import type { ApiPlace } from './client.ts'
import { UsageError } from './command.ts'

const WAY_OUT =
  'ask where one runs (kubectl --namespace kube-system exec deployment/causeway-operator -- causeway operator status), ' +
  'or name its address with --address'

/**
 * The operator of this machine, or of `address`. By TLS it must show the certificate of the files, and is shown it, too: it
 * has the same. Throws UsageError, and ConfigError where it does not listen or a file cannot be read.
 */
export function operatorAt(
  { listen, tls }: { readonly listen: string; readonly tls: Settings['metrics']['tls'] },
  address: string | undefined,
): ApiPlace {
  const where = parseListen(address ?? listen)
  if (where === undefined && address !== undefined)
    throw new UsageError(`--address ${address}: HOST:PORT is wanted, HOST an address`, 'operator status')
  if (where === undefined)
    throw new ConfigError('operator.listen', `${listen}, so that nobody can be asked; ${WAY_OUT}`)
  const { host, port } = where
  const connection = { host: ownAddress(host), port }
  const place = { who: 'operator', address: `${shown(connection.host)}:${port}`, wayOut: WAY_OUT }
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
