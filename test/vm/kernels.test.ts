import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkExpression, compareReleases, isBelowFloor, newestMatch, offeredReleases, packagesOf } from './kernels.ts'

const PACKAGES = [
  'linux-image-6.1.0-9-cloud-amd64',
  'linux-image-6.1.0-56-cloud-amd64',
  'linux-image-6.1.0-56-cloud-amd64-dbg',
  'linux-image-6.1.0-56-amd64',
  'linux-image-6.12.9+deb13-cloud-amd64',
  'linux-image-6.12.118+deb13-cloud-amd64',
  'linux-image-6.12.118+deb13-cloud-amd64-unsigned',
  'linux-image-7.3.4+deb13-cloud-amd64',
  'linux-binary-7.3.4+deb13-cloud-amd64',
  'linux-modules-7.3.4+deb13-cloud-amd64',
  'linux-image-cloud-amd64',
]
const RELEASES = offeredReleases(PACKAGES)

test('the kernels among packages are told by number, the newest first', () => {
  assert.deepEqual(RELEASES, [
    '7.3.4+deb13-cloud-amd64',
    '6.12.118+deb13-cloud-amd64',
    '6.12.9+deb13-cloud-amd64',
    '6.1.0-56-cloud-amd64',
    '6.1.0-9-cloud-amd64',
  ])
})

for (const [expression, release] of [
  ['6.1', '6.1.0-56-cloud-amd64'],
  ['6.12', '6.12.118+deb13-cloud-amd64'],
  ['6.12.9', '6.12.9+deb13-cloud-amd64'],
  ['newest', '7.3.4+deb13-cloud-amd64'],
  ['6.18', undefined],
] as const)
  test(`${expression} means ${release ?? 'none of them'}`, () => {
    assert.equal(newestMatch(expression, RELEASES), release)
  })

for (const expression of ['', '6', 'six', '6.1-rc1', '6.1.', 'latest'])
  test(`'${expression}' is no kernel, and the error says what is`, () => {
    assert.throws(() => checkExpression(expression), /^Error: no kernel '.*': name a version such as 6\.1, .*'newest'$/)
  })

test('a kernel whose package is split comes from both parts', () => {
  assert.deepEqual(packagesOf('7.3.4+deb13-cloud-amd64', PACKAGES), [
    'linux-binary-7.3.4+deb13-cloud-amd64',
    'linux-modules-7.3.4+deb13-cloud-amd64',
  ])
  assert.deepEqual(packagesOf('6.1.0-56-cloud-amd64', PACKAGES), ['linux-image-6.1.0-56-cloud-amd64'])
})

test('what is older than 6.1 is below the floor', () => {
  assert.deepEqual(['5.10.0-40-cloud-amd64', '6.0.9', '6.1.0-1', '7.0.1'].map(isBelowFloor), [true, true, false, false])
})

test('a release with more numbers comes after its beginning', () => {
  assert.ok(compareReleases('6.12.9', '6.12') > 0)
  assert.equal(compareReleases('6.12.9-cloud-amd64', '6.12.9'), 0)
})
