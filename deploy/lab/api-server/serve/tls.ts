/** A certificate authority of this server's own and the certificate it shows, made by `openssl`. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** PEM texts. */
export interface Certificates {
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

/** How clients inside a cluster call it. */
const NAMES = ['localhost', '127.0.0.1', '::1', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc']
const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/**
 * Makes both in `folder`; an authority that is there already is kept, so that clients that know it go on. `hosts` are
 * names and addresses to serve under besides the usual ones; `days` is how long the certificate is good from now.
 *
 * @throws when `openssl` (3.0 or newer) is missing or refuses, with its own words
 */
export async function makeCertificates(folder: string, hosts: readonly string[], days = 365): Promise<Certificates> {
  const file = (name: string): string => join(folder, name)
  const caFiles = ['-keyout', file('ca.key'), '-out', file('ca.crt')]
  if (!existsSync(file('ca.crt')))
    await openssl([
      ...CURVE,
      ...caFiles,
      '-days',
      '3650',
      '-subj',
      '/CN=kubernetes',
      '-addext',
      'keyUsage=critical,digitalSignature,keyCertSign',
    ])
  const names = [...new Set([...NAMES, ...hosts])].map(name => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`)
  const signer = [
    '-CA',
    file('ca.crt'),
    '-CAkey',
    file('ca.key'),
    '-keyout',
    file('server.key'),
    '-out',
    file('server.crt'),
  ]
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    `subjectAltName=${names.join(',')}`,
    'extendedKeyUsage=serverAuth',
  ]
  const subject = ['-days', `${days}`, '-subj', '/CN=kube-apiserver']
  await openssl([...CURVE, ...signer, ...subject, ...extensions.flatMap(extension => ['-addext', extension])])
  const [ca, certificate, key] = await Promise.all(
    ['ca.crt', 'server.crt', 'server.key'].map(f => readFile(file(f), 'utf8')),
  )
  return { ca: ca ?? '', certificate: certificate ?? '', key: key ?? '' }
}

async function openssl(args: readonly string[]): Promise<void> {
  await run('openssl', ['req', '-x509', ...args])
}
