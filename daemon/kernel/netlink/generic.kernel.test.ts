/** Generic netlink against the controller, the family every kernel has. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { openNewNetns } from '../netns/create.ts'
import { CONTROLLER, GenericNetlink } from './generic.ts'
import { NetlinkError } from './netlink-error.ts'

test('a family is found by name, with its number, version and groups', () => {
  using generic = new GenericNetlink()
  const family = generic.family('nlctrl')
  assert.deepEqual([family?.name, family?.id, family?.version], ['nlctrl', 0x10, 2])
  assert.ok((family?.groups.get('notify') ?? 0) > 0, 'nlctrl has the group notify')
})

test('a family nobody has is undefined', () => {
  using generic = new GenericNetlink()
  assert.equal(generic.family('no-such-family'), undefined)
})

test('the families are listed, and each is found by its name', () => {
  using ns = openNewNetns()
  using generic = new GenericNetlink(ns.path)
  const families = generic.families()
  assert.ok(families.some(f => f.name === 'nlctrl'))
  assert.deepEqual(
    families.map(f => generic.family(f.name)),
    families,
  )
})

test('a command the family does not have is refused with its name', () => {
  using generic = new GenericNetlink()
  assert.throws(
    () => generic.request(CONTROLLER, { command: 200 }),
    (error: unknown) =>
      error instanceof NetlinkError && error.code === 'EOPNOTSUPP' && error.attempt === 'nlctrl command 200',
  )
})

test('a command without what it needs is refused', () => {
  using generic = new GenericNetlink()
  assert.throws(() => generic.request(CONTROLLER, { command: 3 }), NetlinkError)
})
