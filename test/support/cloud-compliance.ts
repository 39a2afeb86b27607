/** What every plugin of addresses from a cloud promises: the slot `ipam`, and what only the three of them have. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import { ipamCompliance } from './ipam-compliance.ts'
import { CloudNode, type CloudPlugin } from './cloud-node.ts'
import type { Cloud } from '../../daemon/state/tables.ts'

const SUBJECTS = [
  {
    name: 'IPv4, a block and single addresses',
    family: 4,
    blocks: ['10.64.0.0/28', '10.64.1.7/32', '10.64.1.9/32'],
    size: 18,
    address: '10.64.0.9',
    foreign: '10.64.2.5',
  },
  { name: 'IPv6', family: 6, blocks: ['fd00:64::/124'], size: 15, address: 'fd00:64::8', foreign: 'fd00:65::1' },
] as const

/** Runs the suite of the slot against a cloud that has nothing more to give. */
export function cloudCompliance(name: string, plugin: CloudPlugin, provider: Cloud): void {
  for (const { name: what, blocks, ...subject } of SUBJECTS)
    ipamCompliance(`${name}, ${what}`, async () => {
      const node = await CloudNode.start(plugin, { provider })
      await node.says({ blocks, shortage: 'the subnet is full' })
      return {
        ...subject,
        cools: true,
        ipam: node.ipam,
        pool: 'default',
        cool: () => node.clock.advance(30_000),
        [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
      }
    })
}

/** Runs each example of the plugin's README: a configuration whose comment says what a first pod gets of which blocks. */
export function cloudExamples(name: string, plugin: CloudPlugin, provider: Cloud): void {
  suite('examples of the README', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../plugins', name, 'README.md'), 'utf8')
    const examples = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(match => match[1] ?? '')
    assert.equal(examples.length, 2)
    for (const example of examples)
      test(example.trim().split('\n')[0] ?? '', async () => {
        const [, spec = '', address] = /^# spec: (.*); first pod: (.*)$/m.exec(example) ?? []
        const places = [...spec.matchAll(/(\S+) on (\d)/g)].map(([, block = '', index = '']) => ({ block, index }))
        const section = (parse(example) as Readonly<Record<string, unknown>>)[name]
        const devices = places.map(({ index }) => `nic-${index}`)
        await using node = await CloudNode.start(plugin, { provider, section, devices })
        const nics = places.map(({ index }) => ({ id: `nic-${index}`, index: Number(index) }))
        await node.says({ nics, blocks: places.map(({ block, index }) => ({ block, nic: `nic-${index}` })) })
        assert.equal((await node.take('a')).address, address)
      })
  })
}
