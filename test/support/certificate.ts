/** Certificates for tests of what speaks TLS. */
import { execFileSync } from 'node:child_process'
import { mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A key, and a certificate for 127.0.0.1 that is its own authority, in PEM. */
export function selfSigned(): { readonly key: string; readonly cert: string } {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-certificate-'))
  const [key, cert] = [join(folder.path, 'key'), join(folder.path, 'cert')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
  const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}
