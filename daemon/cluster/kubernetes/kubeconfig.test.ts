import assert from 'node:assert/strict'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { isConfigError } from '../../errors.ts'
import { kubeconfigCredentials } from './kubeconfig.ts'
import type { Credentials } from './credentials.ts'

/** Credentials by a file with this cluster and user. */
async function credentialsBy(cluster: object, user: object = {}, more: object = {}): Promise<Credentials> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'cw-kubeconfig-'))
  const path = join(folder.path, 'config')
  const file = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    ...more,
  }
  writeFileSync(path, stringify(file))
  return await kubeconfigCredentials(path, [])
}

test('the server and the token of the current context are used', async () => {
  const credentials = await credentialsBy({ server: 'https://192.0.2.1:6443/k8s' }, { token: 'secret' })
  assert.deepEqual(
    credentials.servers.map(server => server.href),
    ['https://192.0.2.1:6443/k8s'],
  )
  assert.deepEqual(await credentials.headers(false), { authorization: 'Bearer secret' })
  assert.equal((await credentials.tls()).rejectUnauthorized, true)
})

for (const [what, cluster, more, message] of [
  [
    'a server without TLS',
    { server: 'http://192.0.2.1:8080' },
    {},
    /has the server "http:.*allowed: a URL such as https/,
  ],
  ['a server that is no URL', { server: '192.0.2.1:6443' }, {}, /has the server "192/],
  ['no current context', { server: 'https://192.0.2.1' }, { 'current-context': '' }, /names no cluster/],
] as const)
  test(`${what} is an error of the configuration`, async () => {
    await assert.rejects(credentialsBy(cluster, { token: 'secret' }, more), (error: unknown) => {
      assert.ok(isConfigError(error))
      assert.equal(error.key, 'cluster.kubernetes.kubeconfig')
      assert.match(error.message, message)
      return true
    })
  })
