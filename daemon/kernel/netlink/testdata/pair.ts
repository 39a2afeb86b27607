/** For the tests of this folder: a namespace with a pair of links, and ways to look at what became of it. */
import assert from 'node:assert/strict'
import type { LinkInfo } from '../../kernel.ts'
import { openNewNetns } from '../../netns/create.ts'
import { NetlinkNet } from '../net.ts'
import { NetlinkError } from '../netlink-error.ts'

/** A fresh namespace with a veth pair `a`–`b` that is up, 10.0.0.1/24 and fd00::1/64 on `a`. */
export function namespaceWithPair(): { net: NetlinkNet } & Disposable {
  const stack = new DisposableStack()
  const ns = stack.use(openNewNetns())
  const net = stack.use(new NetlinkNet(ns.path))
  net.run([
    { op: 'link-add', link: { kind: 'veth', name: 'a', up: true, peer: { name: 'b', up: true } } },
    { op: 'address-add', link: 'a', address: '10.0.0.1/24' },
    { op: 'address-add', link: 'a', address: 'fd00::1/64', noDad: true },
  ])
  return { net, [Symbol.dispose]: () => stack.dispose() }
}

export function linkNamed(net: NetlinkNet, name: string): LinkInfo {
  const link = net.link(name)
  assert.ok(link, `there is a link ${name}`)
  return link
}

export function pick<T, K extends keyof T>(row: T, ...keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map(key => [key, row[key]])) as Pick<T, K>
}

/** What a call throws, which must be a refusal of the kernel. */
export function failureOf(call: () => void): NetlinkError {
  try {
    call()
  } catch (error) {
    if (error instanceof NetlinkError) return error
    throw error
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' })
}
