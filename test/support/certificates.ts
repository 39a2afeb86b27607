/** Certificates for a test, in files as kubelet mounts them. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Makes an authority `ca`, certificates of it for `server`, `renewed` and `client`, and one that is its own: `stranger`. */
export function makeCertificates(folder: string): void {
  const file = (name: string): string => join(folder, name)
  const make = (name: string, ...rest: readonly string[]): void => {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
    const files = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), '-subj', `/CN=${name}`]
    execFileSync('openssl', ['req', '-x509', ...curve, ...files, ...rest], { stdio: 'ignore' })
  }
  make('ca')
  for (const name of ['server', 'renewed', 'client'])
    make(name, '-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-addext', 'subjectAltName=IP:127.0.0.1')
  make('stranger')
}
