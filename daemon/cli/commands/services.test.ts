import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServedFrontend } from '../../api/service-routes.ts'
import { PLAIN_FRONTEND } from '../../../test/support/service-row.ts'
import { type CommandContext, noOptions } from '../command.ts'
import { services } from './services.ts'

const WEB: ServedFrontend = {
  ...PLAIN_FRONTEND,
  key: 'TCP 10.96.0.1:80 inside',
  address: '10.96.0.1',
  portName: 'http',
  hits: 7,
  backends: [
    { address: '10.1.0.2', port: 8080, node: 'node-a', zone: '', weight: 1, terminating: false },
    { address: '10.1.0.3', port: 8080, node: 'node-a', zone: '', weight: 1, terminating: true },
  ],
}
const DNS: ServedFrontend = {
  ...WEB,
  hits: 0,
  address: 'fd00:96::1',
  service: 'kube-system/dns',
  portName: '',
  backends: [],
}

/** What the command prints, columns apart by a bar. */
async function printed(service?: string, rows: readonly ServedFrontend[] = [DNS, WEB]): Promise<string[]> {
  let out = ''
  const context = {
    options: { ...noOptions, text: (name: string) => (name === 'service' ? service : undefined) },
    format: 'table',
    client: () => ({ json: () => Promise.resolve(rows) }),
    out: (text: string) => void (out += text),
  } as unknown as CommandContext // all that this command uses
  assert.equal(await services.run(context), 0)
  return out
    .trimEnd()
    .split('\n')
    .map(line =>
      line
        .trim()
        .split(/\s{2,}/)
        .join('|'),
    )
}

test('services are listed in the order of their names, with the number of their backends', async () => {
  assert.deepEqual(await printed(), [
    'SERVICE|FRONTEND|KIND|FROM|PICKS BY|FORWARDS BY|FLOWS|BACKENDS',
    'default/web:http|TCP 10.96.0.1:80|cluster-ip|inside|random|-|7|2',
    'kube-system/dns|TCP [fd00:96::1]:80|cluster-ip|inside|random|-|0|0',
  ])
})

for (const name of ['web', 'default/web'])
  test(`${name} is shown with each of its backends`, async () => {
    assert.deepEqual(await printed(name), [
      'SERVICE|FRONTEND|KIND|FROM|PICKS BY|FORWARDS BY|FLOWS|BACKEND|NODE|WEIGHT|STATE',
      'default/web:http|TCP 10.96.0.1:80|cluster-ip|inside|random|-|7|10.1.0.2:8080|node-a|1|ready',
      '10.1.0.3:8080|node-a|1|terminating',
    ])
  })

test('a service that is not there is named', async () => {
  await assert.rejects(printed('default/dns'), /^Error: there is no service default\/dns with an address here$/)
})

test('what could not be carried into the maps is told with its reason', async () => {
  const lines = await printed('web', [{ ...WEB, failure: 'update map services: E2BIG' }])
  assert.equal(
    lines.at(-1),
    'default/web at TCP 10.96.0.1:80 inside is not served as it should be: update map services: E2BIG',
  )
})
