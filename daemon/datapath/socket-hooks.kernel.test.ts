import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { join } from 'node:path'
import { linkFromPin } from '../kernel/bpf/link.ts'
import { loadObject, type LoadedObject } from '../kernel/bpf/object.ts'
import { listPins } from '../kernel/bpf/pin.ts'
import { programInfo } from '../kernel/bpf/program.ts'
import { openBpffs } from '../kernel/bpf/testdata/bpffs.ts'
import { openCgroup } from '../kernel/bpf/testdata/cgroup.ts'
import { NotSupported } from '../kernel/errors.ts'
import { OBJECT_DIRECTORY } from './objects.ts'
import { SocketHooks } from './socket-hooks.ts'

suite('socket programs on a cgroup', () => {
  const stack = new DisposableStack()
  let directory: string
  let cgroups: readonly [string, string]
  let objects: readonly [LoadedObject, LoadedObject]
  before(() => {
    directory = stack.use(openBpffs()).path('')
    cgroups = [stack.use(openCgroup()).path, stack.use(openCgroup()).path]
    const load = (): LoadedObject => stack.use(loadObject(join(OBJECT_DIRECTORY, 'sock.o')))
    objects = [load(), load()]
  })
  after(() => stack.dispose())

  const apply = (cgroup: string | undefined, object: LoadedObject): void =>
    new SocketHooks(directory).apply(cgroup, name => object.programFd(name))
  /** Ids of the links and of the program of each, by pin. */
  const pinned = (): Map<string, readonly [link: number, program: number]> =>
    new Map(
      listPins(directory).map(({ name, path }) => {
        using link = linkFromPin(path)
        const { id = 0, programId = 0 } = link?.info() ?? {}
        return [name, [id, programId]]
      }),
    )

  test('are attached, and replaced in their place by the next daemon', () => {
    apply(cgroups[0], objects[0])
    const before = pinned()
    assert.equal(before.size, 10)
    apply(cgroups[0], objects[1])
    const now = pinned()
    assert.deepEqual([...now.keys()], [...before.keys()])
    for (const [name, [link, program]] of now) {
      const own = /^sock_[a-z]+[46]/.exec(name)?.[0] ?? ''
      assert.deepEqual([link, program], [before.get(name)?.[0], programInfo(objects[1].programFd(own)).id])
    }
  })

  test('move to another cgroup, and go where they are not wanted', () => {
    apply(cgroups[0], objects[0])
    const before = [...pinned().keys()]
    apply(cgroups[1], objects[0])
    const now = [...pinned().keys()]
    assert.equal(now.length, 10)
    assert.deepEqual(
      now.filter(name => before.includes(name)),
      [],
    )
    apply(undefined, objects[0])
    assert.equal(pinned().size, 0)
  })

  for (const what of ['/proc', '/nowhere'])
    test(`on ${what}, which is no cgroup, are refused with the way out`, () => {
      assert.throws(
        () => apply(what, objects[0]),
        (error: unknown) =>
          error instanceof NotSupported && /paths\.cgroup, or services\.socket: false/.test(error.message),
      )
    })
})
