/** clsact, shared blocks and filters on the kernel. */
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import test from 'node:test'
import { loadInstructions, programInfo } from '../bpf/program.ts'
import { openNewNetns } from '../netns/create.ts'
import { NetlinkNet } from './net.ts'
import { Attributes, BodyWriter } from './message.ts'
import { NetlinkSocket } from './socket.ts'

const RTM_GETTFILTER = 46
const TCA_OPTIONS = 2
const BPF_NAME = 7
const BPF_ID = 11
const BLOCK = 0xffffffff

interface Setting extends Disposable {
  readonly net: NetlinkNet
  readonly netnsFd: number
  /** A loaded program, open until the test ends, and its id. */
  program(): { readonly fd: number; readonly id: number }
}

/** A namespace with veth pairs a–b and c–d. */
function setting(): Setting {
  const stack = new DisposableStack()
  const ns = stack.use(openNewNetns())
  const net = stack.use(new NetlinkNet(ns.path))
  net.run(
    [['a', 'b'] as const, ['c', 'd'] as const].map(([name, peer]) => ({
      op: 'link-add',
      link: { kind: 'veth', name, peer: { name: peer } },
    })),
  )
  return {
    net,
    netnsFd: ns.fd,
    program() {
      const fd = stack.adopt(loadInstructions('sched-cls', undefined), closeSync)
      return { fd, id: programInfo(fd).id }
    },
    [Symbol.dispose]: () => stack.dispose(),
  }
}

/** Filters at a place: `priority handle name program-id`, as the kernel lists them. */
function filters(netnsFd: number, index: number, parent: number): string[] {
  using socket = new NetlinkSocket(0, netnsFd)
  const body = new BodyWriter().u32(0).u32(index).u32(0).u32(parent).u32(0).finish()
  return socket.dump({ type: RTM_GETTFILTER, flags: 0, body }, 'list filters').flatMap(message => {
    const view = new DataView(message.body.buffer, message.body.byteOffset)
    const options = new Attributes(message.body.subarray(20)).nested(TCA_OPTIONS)
    // Each priority is listed once for itself, without a filter.
    if (options.u32(BPF_ID) === undefined) return []
    const name = options.text(BPF_NAME)
    return [`${view.getUint16(18, true)} ${view.getUint32(8, true)} ${name} ${options.u32(BPF_ID)}`]
  })
}

test('filters are listed where they sit, in order, and nowhere else', () => {
  using s = setting()
  const { fd } = s.program()
  const ingress = { link: 'a', side: 'ingress' } as const
  assert.deepEqual(s.net.filters(ingress), [], 'without a qdisc')
  s.net.run([
    { op: 'clsact-add', link: 'a' },
    { op: 'clsact-add', link: 'c', ingressBlock: 51 },
  ])
  assert.deepEqual(s.net.filters(ingress), [], 'without a filter')
  s.net.run([
    { op: 'filter-replace', at: ingress, priority: 9, programFd: fd, name: 'second' },
    { op: 'filter-replace', at: ingress, priority: 2, programFd: fd, name: 'first' },
    { op: 'filter-replace', at: { block: 51 }, priority: 1, programFd: fd, name: 'shared' },
  ])
  const first = { priority: 2, name: 'first' }
  assert.deepEqual(s.net.filters(ingress), [first, { priority: 9, name: 'second' }])
  assert.deepEqual(s.net.filters({ link: 'a', side: 'egress' }), [])
  assert.deepEqual(s.net.filters({ block: 51 }), [{ priority: 1, name: 'shared' }])
  assert.deepEqual(s.net.filters({ block: 52 }), [])
  assert.deepEqual(s.net.filters({ link: 'gone', side: 'ingress' }), [])
})

test('clsact is bound to shared blocks and listed with them', () => {
  using s = setting()
  const index = (name: string): number | undefined => s.net.link(name)?.index
  s.net.run([
    { op: 'clsact-add', link: 'a', ingressBlock: 51, egressBlock: 52 },
    { op: 'clsact-add', link: 'c', ingressBlock: 51 },
    { op: 'clsact-add', link: 'd' },
  ])
  const clsact = (): unknown[] => s.net.qdiscs().filter(q => q.kind === 'clsact')
  assert.deepEqual(
    clsact(),
    [
      { link: index('d'), kind: 'clsact', ingressBlock: 0, egressBlock: 0 },
      { link: index('c'), kind: 'clsact', ingressBlock: 51, egressBlock: 0 },
      { link: index('a'), kind: 'clsact', ingressBlock: 51, egressBlock: 52 },
    ].sort((x, y) => (x.link ?? 0) - (y.link ?? 0)),
  )
  s.net.run(['a', 'c', 'd'].map(link => ({ op: 'clsact-delete', link })))
  assert.deepEqual(clsact(), [])
})

test('a filter on a shared block is replaced in place, however often', () => {
  using s = setting()
  s.net.run([{ op: 'clsact-add', link: 'a', ingressBlock: 51, egressBlock: 52 }])
  const replace = (programFd: number, name: string): void =>
    s.net.run([{ op: 'filter-replace', at: { block: 51 }, priority: 1, programFd, name }])
  const first = s.program()
  replace(first.fd, 'first')
  assert.deepEqual(filters(s.netnsFd, BLOCK, 51), [`1 1 first ${first.id}`])
  for (let i = 0; i < 20; i++) {
    const next = s.program()
    replace(next.fd, `next${i}`)
    assert.deepEqual(filters(s.netnsFd, BLOCK, 51), [`1 1 next${i} ${next.id}`])
  }
  assert.deepEqual(filters(s.netnsFd, BLOCK, 52), [])
})

test('filters of two priorities stand side by side', () => {
  using s = setting()
  const [one, two] = [s.program(), s.program()]
  s.net.run([
    { op: 'clsact-add', link: 'a', ingressBlock: 51 },
    { op: 'filter-replace', at: { block: 51 }, priority: 2, programFd: two.fd, name: 'two' },
    { op: 'filter-replace', at: { block: 51 }, priority: 1, programFd: one.fd, name: 'one' },
  ])
  assert.deepEqual(filters(s.netnsFd, BLOCK, 51), [`1 1 one ${one.id}`, `2 1 two ${two.id}`])
  s.net.run([{ op: 'filter-delete', at: { block: 51 }, priority: 1 }])
  assert.deepEqual(filters(s.netnsFd, BLOCK, 51), [`2 1 two ${two.id}`])
})

for (const side of ['ingress', 'egress'] as const) {
  test(`a filter on the ${side} side of a link is replaced and deleted`, () => {
    using s = setting()
    const parent = side === 'ingress' ? 0xfffffff2 : 0xfffffff3
    const index = s.net.link('a')?.index ?? 0
    const at = { link: 'a', side } as const
    const [first, second] = [s.program(), s.program()]
    s.net.run([
      { op: 'clsact-add', link: 'a' },
      { op: 'filter-replace', at, priority: 7, programFd: first.fd, name: 'x' },
      { op: 'filter-replace', at, priority: 7, programFd: second.fd, name: 'y' },
    ])
    assert.deepEqual(filters(s.netnsFd, index, parent), [`7 1 y ${second.id}`])
    s.net.run([{ op: 'filter-delete', at, priority: 7 }])
    assert.deepEqual(filters(s.netnsFd, index, parent), [])
  })
}

test('a block takes filters only while a link is bound to it', () => {
  using s = setting()
  const { fd } = s.program()
  const replace = { op: 'filter-replace', at: { block: 51 }, priority: 1, programFd: fd, name: 'x' } as const
  assert.throws(() => s.net.run([replace]), { code: 'EINVAL' })
  s.net.run([{ op: 'clsact-add', link: 'a', ingressBlock: 51 }, replace])
  s.net.run([{ op: 'link-delete', link: 'a' }])
  assert.throws(() => s.net.run([replace]), { code: 'EINVAL' })
})
