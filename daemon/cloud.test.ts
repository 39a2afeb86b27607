import assert from 'node:assert/strict'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { cloudOfDmi, type Dmi, findCloud, machineCloud } from './cloud.ts'

const NOTHING: Dmi = { sys_vendor: '', product_name: '', product_version: '', bios_version: '', chassis_asset_tag: '' }

const machines: readonly (readonly [what: string, dmi: Partial<Dmi>, cloud: string | undefined])[] = [
  ['EC2 on Nitro, also a .metal', { sys_vendor: 'Amazon EC2', product_name: 'm7i.metal-24xl' }, 'aws'],
  ['EC2 on Xen', { sys_vendor: 'Xen', product_name: 'HVM domU', product_version: '4.11.amazon' }, 'aws'],
  ['another Xen', { sys_vendor: 'Xen', product_name: 'HVM domU', product_version: '4.11' }, undefined],
  ['Azure', { sys_vendor: 'Microsoft Corporation', chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77' }, 'azure'],
  ['another Hyper-V', { sys_vendor: 'Microsoft Corporation', chassis_asset_tag: '1234' }, undefined],
  ['Google Compute Engine', { sys_vendor: 'Google', product_name: 'Google Compute Engine' }, 'gcp'],
  ['an older one', { sys_vendor: 'Google', product_name: 'Google' }, 'gcp'],
  ["a laptop of Google's", { sys_vendor: 'Google', product_name: 'Eve' }, undefined],
  ['a machine without DMI', {}, undefined],
]
for (const [what, dmi, cloud] of machines)
  test(`the firmware of ${what} says ${cloud ?? 'no cloud'}`, () => {
    assert.equal(cloudOfDmi({ ...NOTHING, ...dmi }), cloud)
  })

test('files of the firmware are read without their line ends; where there are none, nothing is said', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-dmi-'))
  assert.equal(machineCloud(join(folder.path, 'none')), undefined)
  writeFileSync(join(folder.path, 'sys_vendor'), 'Amazon EC2\n')
  assert.equal(machineCloud(folder.path), 'aws')
})

test('the configuration comes before the Node object, and that before the firmware', () => {
  const found = (...of: Parameters<typeof findCloud>): string => Object.values(findCloud(...of)).join(' by ')
  assert.equal(found('azure', { provider: 'aws' }, 'gcp'), 'azure by cloud in the configuration')
  assert.equal(found('auto', { provider: 'aws' }, 'gcp'), 'aws by Node.spec.providerID')
  assert.equal(found('auto', { provider: 'none' }, 'aws'), 'none by Node.spec.providerID')
  assert.equal(found('auto', {}, 'gcp'), 'gcp by DMI')
  assert.equal(found('auto', undefined, undefined), 'none by no sign of one')
})
