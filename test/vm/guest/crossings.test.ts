/** Devices and transforms that development machines often lack, at work: what crosses them comes back whole. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LinuxKernel } from '../../../daemon/kernel/linux.ts'
import { lacking } from '../../../daemon/kernel/testdata/lacking.ts'
import { addressing, type End, INNER, TwoHosts, WIRE } from './two-hosts.ts'

const ENDS: readonly [End, End][] = [
  ['a', 'b'],
  ['b', 'a'],
]

interface Crossing {
  readonly name: string
  readonly skip?: string | false
  /** Sets it up and resolves to the addresses of `b` beyond it. */
  readonly lay: (hosts: TwoHosts) => Promise<readonly string[]>
  /** Afterwards: that what came back took this way. */
  readonly proof?: (hosts: TwoHosts) => Promise<void>
}

const CROSSINGS: readonly Crossing[] = [
  { name: 'the bare wire', lay: async () => WIRE.b },
  {
    name: 'a netkit pair',
    skip: lacking('netkit', [6, 7]),
    async lay(hosts) {
      using kernel = new LinuxKernel()
      using net = kernel.openNet(hosts.netns('a'))
      const peer = { name: 'kit', netns: hosts.netns('b') }
      net.run([{ op: 'link-add', link: { kind: 'netkit', mode: 'l3', name: 'kit', peer } }])
      for (const end of ['a', 'b'] as const) await hosts.ip(end, ...addressing(end, 'kit', INNER))
      return INNER.b
    },
  },
  {
    name: 'a Geneve tunnel',
    async lay(hosts) {
      for (const [end, other] of ENDS) {
        const add = `link add tunnel type geneve id 7 remote ${WIRE[other][0]}`
        await hosts.ip(end, add, ...addressing(end, 'tunnel', INNER))
      }
      return INNER.b
    },
  },
  {
    name: 'a dummy device behind a route',
    async lay(hosts) {
      await hosts.ip('b', 'link add nowhere type dummy', ...addressing('b', 'nowhere', INNER))
      await hosts.ip('a', `route add ${INNER.b[0]} via ${WIRE.b[0]}`, `route add ${INNER.b[1]} via ${WIRE.b[1]}`)
      return INNER.b
    },
  },
  {
    name: 'a WireGuard tunnel',
    async lay(hosts) {
      const keys = { a: await keyPair(hosts), b: await keyPair(hosts) }
      for (const [end, other] of ENDS) {
        await hosts.ip(end, 'link add guard type wireguard')
        const peer = ['peer', keys[other].public, 'endpoint', `${WIRE[other][0]}:51820`]
        const allowed = ['allowed-ips', '198.51.100.0/24,2001:db8:1::/64']
        const file = join(tmpdir(), `crossing-${end}.key`)
        writeFileSync(file, keys[end].private, { mode: 0o600 })
        const own = ['listen-port', '51820', 'private-key', file]
        await hosts.run(end, ['wg', 'set', 'guard', ...own, ...peer, ...allowed])
        await hosts.ip(end, ...addressing(end, 'guard', INNER))
      }
      return INNER.b
    },
    async proof(hosts) {
      const [, received = '0', sent = '0'] = (await hosts.run('b', ['wg', 'show', 'guard', 'transfer'])).split(/\s+/)
      assert.ok(Number(received) > 128_000 && Number(sent) > 128_000, `received ${received}, sent ${sent}`)
    },
  },
  {
    name: 'IPsec in transport mode (ESP, AES-GCM)',
    async lay(hosts) {
      for (const [end] of ENDS) await hosts.ip(end, ...ENDS.flatMap(([from, to]) => transport(end, from, to)))
      return [WIRE.b[0]]
    },
    async proof(hosts) {
      const counts = [...(await hosts.run('b', ['ip', '-s', 'xfrm', 'state'])).matchAll(/(\d+)\(bytes\)/g)].map(m =>
        Number(m[1]),
      )
      assert.ok(counts.filter(bytes => bytes > 64_000).length >= 2, `bytes transformed: ${counts.join(', ')}`)
    },
  },
]
/** 128 bits of key and 32 of salt (RFC 4106). */
const ESP_KEY = `0x${'0123456789abcdef'.repeat(2)}01020304`

for (const { name, skip = false, lay, proof } of CROSSINGS)
  test(`what crosses ${name} comes back whole`, { skip }, async () => {
    await using hosts = await TwoHosts.create()
    const addresses = await lay(hosts)
    assert.deepEqual(await hosts.failures(addresses), [])
    await proof?.(hosts)
  })

/** The commands of ip(8) at one end for what goes one way. */
function transport(end: End, from: End, to: End): string[] {
  const [src, dst] = [WIRE[from][0], WIRE[to][0]]
  const ids = `proto esp spi 0x10${from === 'a' ? 1 : 2} reqid 1 mode transport`
  const template = `tmpl src ${src} dst ${dst} proto esp reqid 1 mode transport`
  return [
    `xfrm state add src ${src} dst ${dst} ${ids} aead rfc4106(gcm(aes)) ${ESP_KEY} 128`,
    `xfrm policy add src ${src}/32 dst ${dst}/32 dir ${from === end ? 'out' : 'in'} ${template}`,
  ]
}

async function keyPair(hosts: TwoHosts): Promise<{ readonly private: string; readonly public: string }> {
  const secret = await hosts.run('a', ['wg', 'genkey'])
  return { private: secret, public: (await hosts.run('a', ['wg', 'pubkey'], secret)).trim() }
}
