import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultFrom } from './kill-at.ts'
import { attachmentKey, deviceName, hostMac, podMac } from './key.ts'

test('a key is network, container and interface', () => {
  assert.equal(attachmentKey({ network: 'n', containerId: 'c', ifName: 'eth0' }), 'n/c/eth0')
})

test('device and MACs follow from the key alone', () => {
  const key = 'causeway/web/eth0'
  assert.deepEqual(
    [deviceName(key), hostMac(key), podMac(key)],
    ['cwef79bc2dfc8a', '26:e7:fa:09:15:54', '2e:9e:d1:10:7a:2b'],
  )
})

test('every MAC is unicast and locally administered', () => {
  for (let i = 0; i < 500; i++) {
    for (const mac of [hostMac(`k${i}`), podMac(`k${i}`)]) assert.match(mac, /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/)
  }
})

test('without the variable the fault hook does nothing', () => {
  faultFrom({})('add.row')
  faultFrom({ CAUSEWAY_TEST_KILL_AT: '' })('add.row')
})

for (const wish of ['nowhere', 'add.row:0', 'add.row:x', ':1']) {
  test(`'${wish}' is no place to die at`, () => {
    assert.throws(() => faultFrom({ CAUSEWAY_TEST_KILL_AT: wish }), /not STEP\[:N\] with STEP one of add.begin/)
  })
}
