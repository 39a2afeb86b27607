import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SeenNic, SeenSubnet } from './model.ts'
import { wholePrefixes } from './subnet-room.ts'

const SUBNET: SeenSubnet = { id: 's', zone: 'z', cidrs: ['10.0.0.0/24'], free: 251, forNics: true, reserved: [] }
const nic = (addresses: readonly string[], blocks: readonly string[], subnet = 's'): SeenNic => {
  const own = {
    id: 'eni',
    mac: '',
    subnet,
    status: 'attached',
    machine: 'i',
    index: 0,
    deletedWithMachine: true,
  } as const
  return { ...own, forPods: true, token: '', node: '', addresses, blocks }
}

const cases: readonly (readonly [what: string, want: number, subnet: Partial<SeenSubnet>, nics: readonly SeenNic[]])[] =
  [
    ['an empty one has all but its ends', 14, {}, []],
    ['a prefix takes one, and so does an address', 12, {}, [nic(['10.0.0.40'], ['10.0.0.64/28'])]],
    ['what is at one place counts once', 13, {}, [nic(['10.0.0.40'], ['10.0.0.41/32', '10.0.0.42/32'])]],
    [
      'what is of other subnets does not count',
      14,
      {},
      [nic(['10.0.0.40'], [], 't'), nic(['10.9.0.40', 'fd00::1'], [])],
    ],
    ['no more than the free addresses have room for', 2, { free: 47 }, []],
    [
      'a reservation for single addresses takes what it covers',
      10,
      { reserved: [{ cidr: '10.0.0.64/26', kind: 'explicit' }] },
      [],
    ],
    ['one for prefixes takes nothing', 14, { reserved: [{ cidr: '10.0.0.64/26', kind: 'prefix' }] }, []],
    ['one of 16 addresses has none', 0, { cidrs: ['10.0.0.0/28'], free: 11 }, []],
    ['one without IPv4 has none', 0, { cidrs: ['fd00::/64'], free: 0 }, []],
  ]
for (const [what, want, subnet, nics] of cases)
  test(`whole prefixes of a subnet: ${what}`, () => {
    assert.equal(wholePrefixes({ ...SUBNET, ...subnet }, nics), want)
  })
