/** A certificate authority of this server's own and the certificate it shows, made by `openssl`. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
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

/** When a certificate is good. */
export interface Validity {
  readonly from: Date
  readonly until: Date
}

/** How clients inside a cluster call it. */
const NAMES = ['localhost', '127.0.0.1', '::1', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc']
const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/**
 * Makes both in `folder`; an authority that is there already is kept, so that clients that know it go on. `hosts` are
 * names and addresses to serve under besides the usual ones.
 *
 * @throws when `openssl` (3.0 or newer) is missing or refuses, with its own words
 */
export async function makeCertificates(
  folder: string,
  hosts: readonly string[],
  validity: Validity,
): Promise<Certificates> {
  const ca = join(folder, 'ca.crt')
  const caKey = join(folder, 'ca.key')
  if (!existsSync(ca)) {
    const authority = [
      '-days',
      '3650',
      '-subj',
      '/CN=kubernetes',
      '-addext',
      'keyUsage=critical,digitalSignature,keyCertSign',
    ]
    await openssl('req', '-x509', ...CURVE, '-keyout', caKey, '-out', ca, ...authority)
  }
  const work = await mkdtemp(join(folder, 'sign-'))
  try {
    const { certificate, key } = await sign(work, { ca, caKey }, [...new Set([...NAMES, ...hosts])], validity)
    return { ca: await readFile(ca, 'utf8'), certificate, key }
  } finally {
    await rm(work, { recursive: true })
  }
}

/** Signed by `openssl ca`: of 3.0, which Debian 12 has, nothing else takes dates. */
const SIGNING = `
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
`

async function sign(
  folder: string,
  { ca, caKey }: { ca: string; caKey: string },
  names: readonly string[],
  { from, until }: Validity,
): Promise<Omit<Certificates, 'ca'>> {
  const file = (name: string): string => join(folder, name)
  await writeFile(file('signing.conf'), SIGNING.replace('index.txt', file('index.txt')).replace('= .', `= ${folder}`))
  await writeFile(file('index.txt'), '')
  const alternatives = names.map(name => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',')
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    `subjectAltName=${alternatives}`,
    'extendedKeyUsage=serverAuth',
  ]
  const wanted = ['-keyout', file('key'), '-out', file('request'), '-subj', '/CN=kube-apiserver']
  await openssl('req', ...CURVE, ...wanted, ...extensions.flatMap(extension => ['-addext', extension]))
  const dates = ['-startdate', opensslTime(from), '-enddate', opensslTime(until)]
  const signed = ['-in', file('request'), '-out', file('certificate')]
  await openssl(
    'ca',
    '-batch',
    '-notext',
    '-config',
    file('signing.conf'),
    '-cert',
    ca,
    '-keyfile',
    caKey,
    ...signed,
    ...dates,
  )
  return { certificate: await readFile(file('certificate'), 'utf8'), key: await readFile(file('key'), 'utf8') }
}

/** `20260102030405Z`. */
function opensslTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`
}

async function openssl(...args: readonly string[]): Promise<void> {
  await run('openssl', args)
}
