/** The wires in the kernel: whoever compares the pod network with them wants them to work. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { openNewNetns } from '../../../daemon/kernel/netns/create.ts'
import { warmThreadPool } from '../../../daemon/kernel/netns/thread-pool.ts'
import { inNamespace, mustRun, runCommand } from '../../../deploy/lab/command.ts'
import { eventually } from '../../support/eventually.ts'
import { layWires } from './lay-wires.ts'
import { PROBE } from '../../../deploy/lab/built.ts'
import { type WirePlaces, wireAddress, WIRES } from './wires.ts'

const stack = new DisposableStack()
const servers: ChildProcess[] = []
let places: WirePlaces

before(async () => {
  await warmThreadPool()
  const make = (): string => `/proc/${process.pid}/fd/${stack.use(openNewNetns()).fd}`
  places = {
    a: make(),
    b: make(),
    far: make(),
    floor: make(),
    bridge: make(),
    routed: make(),
    nft: make(),
    iptables: make(),
    across: [make(), make(), make()],
  }
  const kernel = stack.use(new LinuxKernel())
  stack.use(await layWires(kernel, places))
  for (const netns of [places.b, places.far]) {
    using net = kernel.openNet(netns)
    net.run([{ op: 'link-set', link: 'lo', up: true }])
    const [file = '', ...args] = inNamespace(netns, [PROBE, 'serve', '7000'])
    servers.push(spawn(file, args, { stdio: 'ignore' }))
    const check = inNamespace(netns, [PROBE, 'check', 'tcp', '127.0.0.1', '7002', '1'])
    await eventually(async () => (await runCommand(check)).status === 0)
  }
})
after(() => {
  for (const server of servers) server.kill('SIGKILL')
  stack.dispose()
})

for (const wire of WIRES)
  for (const family of [4, 6] as const)
    test(`pods reach each other by the wire ${wire} over IPv${family}`, async () => {
      const check = [PROBE, 'check', 'tcp', wireAddress(wire, 2, family), '7000', '100000']
      const output = await mustRun(inNamespace(places.a, check))
      assert.equal((JSON.parse(output) as { readonly ok: boolean }).ok, true)
    })
