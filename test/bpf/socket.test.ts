/** Services at the socket: real programs in a cgroup and a namespace speak to a service, and servers stand behind it. */
import assert from 'node:assert/strict'
import { EMPTY_SERVICE } from '../../daemon/datapath/service-addresses.ts'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import {
  affinityKeyLayout,
  affinityValueLayout,
  type Backend,
  backendLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { decodeEvent, DropReason, type Event, Hook } from '../../daemon/datapath/shared.gen.ts'
import { type ServiceKey, serviceKeyLayout } from '../../daemon/datapath/shared.gen.ts'
import {
  addressLayout,
  ServiceFlags,
  ServiceScope,
  type ServiceValue,
  serviceValueLayout,
  slotKeyLayout,
} from '../../daemon/datapath/shared.gen.ts'
import { SocketHooks } from '../../daemon/datapath/socket-hooks.ts'
import { codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import type { EbpfMap } from '../../daemon/kernel/bpf/map.ts'
import { loadObject, type LoadedObject } from '../../daemon/kernel/bpf/object.ts'
import { RingBuffer } from '../../daemon/kernel/bpf/ring-buffer.ts'
import { fromMapped16, toMapped16 } from '../../daemon/kernel/ip.ts'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { openBpffs } from '../../daemon/kernel/bpf/testdata/bpffs.ts'
import { openCgroup } from '../../daemon/kernel/bpf/testdata/cgroup.ts'
import { createNetns, deleteNetns } from '../../daemon/kernel/netns/create.ts'
import { inNetns } from '../../daemon/kernel/netns/in-netns.ts'
import { netnsCookie } from '../../daemon/kernel/netns/netns-cookie.ts'
import { PROBE } from '../../deploy/lab/built.ts'
import { inNamespace, mustRun, runCommand, withParent } from '../../deploy/lab/command.ts'
import { compilePrograms } from './node.ts'
import { OBJECT_DIRECTORY } from '../../daemon/datapath/objects.ts'
import { eventually } from '../support/eventually.ts'

/** Of a pod, and of the node's own processes. */
const NETNS = { pod: `/run/netns/cw-socket-${process.pid}`, host: `/run/netns/cw-socket-host-${process.pid}` } as const
type Place = keyof typeof NETNS
const CLIENT = join(import.meta.dirname, 'socket-client.ts')
/** Servers listen on all addresses of the loopback device. */
const SERVERS = { 4: ['127.0.0.1', '127.0.0.2', '127.0.0.3'], 6: ['::1'] } as const
const SERVER_PORT = 9000
/** Addresses of the node, of no use but to be bound to. */
const NODE = { 4: '127.0.0.77', 6: '::1' } as const
/** No address of the namespace, and no route leads there (RFC 5737, RFC 3849). */
const VIP = { 4: '192.0.2.10', 6: '2001:db8::10' } as const
const PORT = 80
const PROTOCOL = { tcp: 6, udp: 17 } as const
type Kind = 'tcp' | 'udp' | 'udp-connected' | 'bind-tcp' | 'bind-udp'

interface Spoken {
  readonly answer: string
  readonly peer: string
  readonly error?: string
}

suite('a socket that speaks to a service', () => {
  const stack = new AsyncDisposableStack()
  let object: LoadedObject
  let through: readonly string[]
  let services: EbpfMap<ServiceKey, ServiceValue>
  let nextId = 1

  before(async () => {
    await compilePrograms()
    using kernel = new LinuxKernel()
    for (const path of Object.values(NETNS)) {
      createNetns(path)
      stack.defer(() => deleteNetns(path))
      using net = kernel.openNet(path)
      net.run([{ op: 'link-set', link: 'lo', up: true }])
    }
    const host_netns = inNetns(NETNS.host, netnsCookie)
    object = stack.use(loadObject(join(OBJECT_DIRECTORY, 'sock.o'), { constants: { host_netns } }))
    const cgroup = stack.use(openCgroup())
    through = cgroup.through
    const pins = stack.use(openBpffs())
    new SocketHooks(pins.path('')).apply(cgroup.path, name => object.programFd(name))
    services = stack.use(object.map('services', codec(serviceKeyLayout, serviceValueLayout)))
    for (const path of Object.values(NETNS)) stack.use(await serve(path))
  })
  after(() => stack.disposeAsync())

  const speakFrom = async (place: Place, kind: Kind, ...to: readonly (string | number)[]): Promise<Spoken> => {
    const command = [process.execPath, CLIENT, kind, ...to.map(String)]
    return JSON.parse(await mustRun([...through, ...inNamespace(NETNS[place], command)])) as Spoken
  }
  const speak = (kind: Kind, address: string, port = PORT): Promise<Spoken> => speakFrom('pod', kind, address, port)

  /** A service of these backends; its id. */
  const make = (
    address: string,
    protocol: 'tcp' | 'udp',
    servers: readonly string[],
    { affinitySeconds = 0, flags = 0 } = {},
  ): number => {
    using slots = object.map('service_slots', codec(slotKeyLayout, backendLayout))
    using backends = object.map('backends', codec(u32, backendLayout))
    const id = nextId++
    for (const [index, server] of servers.entries()) {
      const backend: Backend = { address: toMapped16(server), port: SERVER_PORT, id: 100 * id + index }
      backends.update(backend.id, backend)
      slots.update({ service: id, index }, backend)
    }
    const key = {
      address: toMapped16(address),
      port: PORT,
      protocol: PROTOCOL[protocol],
      scope: ServiceScope.SERVICE_INSIDE,
    }
    services.update(key, { ...EMPTY_SERVICE, id, count: servers.length, affinitySeconds, flags })
    return id
  }

  for (const family of [4, 6] as const)
    for (const kind of ['tcp', 'udp', 'udp-connected'] as const)
      test(`over IPv${family} by ${kind} reaches a backend, and believes to speak to the service`, async () => {
        make(VIP[family], kind === 'tcp' ? 'tcp' : 'udp', SERVERS[family])
        const { answer, peer } = await speak(kind, VIP[family])
        assert.deepEqual([answer, peer], ['who are you?', `${VIP[family]} ${PORT}`])
      })

  test('over IPv4 by an IPv6 socket reaches a backend', async () => {
    make(VIP[4], 'tcp', SERVERS[4])
    const { answer, peer } = await speak('tcp', `::ffff:${VIP[4]}`)
    assert.deepEqual([answer, peer], ['who are you?', `::ffff:${VIP[4]} ${PORT}`])
  })

  for (const kind of ['tcp', 'udp', 'udp-connected'] as const)
    test(`that nobody serves is refused by ${kind}`, async () => {
      make(VIP[4], kind === 'tcp' ? 'tcp' : 'udp', [])
      assert.equal((await speak(kind, VIP[4])).error, 'ECONNREFUSED')
    })

  test('stays with its backend for as long as the service wants it', async () => {
    const id = make(VIP[4], 'tcp', ['127.0.0.1', '127.0.0.2'], { affinitySeconds: 600 })
    using affinities = object.map('affinities', codec(affinityKeyLayout, affinityValueLayout))
    for (let i = 0; i < 5; i++) assert.equal((await speak('tcp', VIP[4])).answer, 'who are you?')
    const given = [...affinities.entries()].filter(([key]) => key.service === id)
    assert.equal(given.length, 1)
    using backends = object.map('backends', codec(u32, backendLayout))
    backends.delete(given[0]?.[1].backend ?? 0)
    assert.equal((await speak('tcp', VIP[4])).answer, 'who are you?')
  })

  test('is told as a drop where nobody serves', async () => {
    make(VIP[4], 'tcp', [])
    const events: Event[] = []
    using _ring = new RingBuffer(object.mapFd('events'), {
      onRecord: (view, offset) => void events.push(decodeEvent(view, offset)),
    })
    await speak('tcp', VIP[4])
    await eventually(() => events.length > 0)
    const { reason, hook, destination, destinationPort, protocol } = events.at(-1) as Event // there is one
    assert.deepEqual(
      [reason, hook, fromMapped16(destination), destinationPort, protocol],
      [DropReason.DROP_NO_BACKEND, Hook.HOOK_SOCKET, VIP[4], PORT, PROTOCOL.tcp],
    )
  })

  test('at a loopback address is there for processes of the node, not in a pod, whose own that is', async () => {
    make('127.0.0.1', 'tcp', ['127.0.0.2'])
    make('::1', 'udp', ['::1'])
    assert.equal((await speakFrom('host', 'tcp', '127.0.0.1', PORT)).answer, 'who are you?')
    assert.equal((await speakFrom('host', 'udp-connected', '::1', PORT)).answer, 'who are you?')
    assert.equal((await speakFrom('pod', 'tcp', '127.0.0.1', PORT)).error, 'ECONNREFUSED')
    assert.equal((await speakFrom('pod', 'udp-connected', '::1', PORT)).error, 'ECONNREFUSED')
  })

  test('from a port of a pod’s choice is left to its packets; a process of the node is served at once', async () => {
    for (const family of [4, 6] as const) {
      make(VIP[family], 'tcp', SERVERS[family])
      assert.equal((await speakFrom('pod', 'tcp', VIP[family], PORT, 7777)).error, 'ENETUNREACH')
      assert.equal((await speakFrom('host', 'tcp', VIP[family], PORT, 7777)).answer, 'who are you?')
    }
  })

  for (const kind of ['tcp', 'udp'] as const)
    test(`at a port of the node keeps the node’s processes from binding to that by ${kind}`, async () => {
      const binds = async (place: Place, address: string, port = PORT): Promise<string> => {
        const { answer, error } = await speakFrom(place, `bind-${kind}`, address, port)
        return error ?? answer
      }
      using own = object.map('node_addresses', codec(u32, addressLayout))
      for (const family of [4, 6] as const) {
        own.update(family === 4 ? 0 : 1, toMapped16(NODE[family]))
        make(NODE[family], kind, SERVERS[family])
        const unspecified = family === 4 ? '0.0.0.0' : '::'
        assert.equal(await binds('host', NODE[family]), 'EADDRINUSE')
        assert.equal(await binds('host', unspecified), 'EADDRINUSE')
        assert.equal(await binds('host', unspecified, PORT + 1), 'bound')
        assert.equal(await binds('pod', unspecified), 'bound')
      }
      assert.equal(await binds('host', '127.0.0.78'), 'bound')
      make(NODE[4], kind, [], { flags: ServiceFlags.SERVICE_EXCLUSIVE })
      assert.equal(await binds('host', NODE[4]), 'bound')
    })

  test('at another port of its address is left alone', async () => {
    make(VIP[4], 'tcp', SERVERS[4])
    assert.equal((await speak('tcp', VIP[4], 81)).error, 'ENETUNREACH')
  })
})

/** An echo on all addresses of a namespace. */
async function serve(netns: string): Promise<Disposable> {
  const [file = '', ...args] = inNamespace(netns, withParent([PROBE, 'serve', `${SERVER_PORT}`]))
  const child = spawn(file, args, { stdio: 'ignore' })
  child.on('error', () => {}) // then nobody answers below
  const check = inNamespace(netns, [PROBE, 'check', 'tcp', '127.0.0.1', `${SERVER_PORT}`, '1'])
  await eventually(async () => (await runCommand(check)).status === 0)
  return { [Symbol.dispose]: () => child.kill('SIGKILL') }
}
