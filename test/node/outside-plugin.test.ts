/** A plugin from outside, written from daemon/plugin.ts alone, is loaded, fills its slot and keeps the slot's promises. */
import assert from 'node:assert/strict'
import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadOutsidePlugins } from '../../daemon/outside-plugin.ts'
import { type RunningPlugins, setUpPlugins } from '../../daemon/run.ts'
import { ipamsOf } from '../../daemon/slots.ts'
import { fakeHost } from '../support/fake-host.ts'
import { ipamCompliance } from '../support/ipam-compliance.ts'

/** Hands out the last bytes of one /24 in turn. It imports nothing of the project and never lets an address rest. */
const LIST_IPAM = `
const refuse = (code: string, message: string): never => {
  throw Object.assign(new Error(message), { code, key: 'list-ipam' })
}

export const plugin = {
  name: 'list-ipam',
  configure(raw: { readonly pool: string; readonly prefix: string; readonly first: number; readonly size: number }) {
    if (typeof raw.prefix !== 'string') refuse('CONFIG', 'list-ipam.prefix: allowed: three bytes such as 192.0.2')
    return (host: { readonly log: { info(fields: object, message: string): void } }) => {
      host.log.info({ pool: raw.pool }, 'addresses from a list')
      const owners = new Map<string, string>() // address → owner
      const all = Array.from({ length: raw.size }, (_, i) => raw.prefix + '.' + (raw.first + i))
      const heldBy = (owner: string) => [...owners].find(([, holder]) => holder === owner)?.[0]
      const lease = (owner: string, address: string) => ({ owner, family: 4, address, pool: raw.pool })
      return {
        ipam: {
          pools: [raw.pool],
          async allocate(request, signal) {
            signal.throwIfAborted()
            const { owner, address: wanted } = request
            if (request.pool !== undefined && request.pool !== raw.pool) refuse('UNKNOWN_POOL', 'no pool ' + request.pool)
            const held = heldBy(owner)
            if (wanted !== undefined && owners.get(wanted) !== owner) {
              if (owners.has(wanted)) refuse('ADDRESS_IN_USE', wanted + ' is held by ' + owners.get(wanted))
              if (!all.includes(wanted)) refuse('ADDRESS_NOT_IN_POOL', wanted + ' is not in the list')
              if (held) refuse('ADDRESS_IN_USE', owner + ' holds ' + held)
            }
            const address = held ?? wanted ?? all.find(one => !owners.has(one))
            if (!address) return refuse('POOL_EXHAUSTED', 'all ' + all.length + ' addresses are used')
            owners.set(address, owner)
            return lease(owner, address)
          },
          async release({ owner, address }) {
            if (owners.get(address) === owner) owners.delete(address)
          },
          async restore(leases) {
            for (const { owner, address } of leases) if (!owners.has(address)) owners.set(address, owner)
          },
          status() {
            const used = all.filter(address => owners.has(address)).length
            const numbers = { total: all.length, used, cooling: 0, excluded: 0, free: all.length - used }
            return [{ pool: raw.pool, family: 4, ranges: [raw.prefix + '.0/24'], ...numbers }]
          },
        },
      }
    }
  },
}
`

const folder = mkdtempSync(join(tmpdir(), 'causeway-outside-'))
after(() => {
  rmSync(folder, { recursive: true })
})
writeFileSync(join(folder, 'list-ipam.ts'), LIST_IPAM)

async function load(section: Readonly<Record<string, unknown>>): Promise<RunningPlugins> {
  const plugins = await loadOutsidePlugins([{ module: './list-ipam.ts', section }], join(folder, 'config.yaml'))
  return setUpPlugins({ plugins, hostFor: () => fakeHost() })
}

test('an outside plugin serves the default pool', async () => {
  await using running = await load({ pool: 'default', prefix: '192.0.2', first: 1, size: 3 })
  const request = { owner: 'net/c/eth0', pod: { namespace: '', name: '', uid: '' }, family: 4 } as const
  const lease = await ipamsOf(running.slots)[0]?.allocate(request, new AbortController().signal)
  assert.deepEqual(lease, { owner: 'net/c/eth0', family: 4, address: '192.0.2.1', pool: 'default' })
})

test("an outside plugin's complaint about its section stops the start", async () => {
  await assert.rejects(load({}), { code: 'CONFIG', message: /list-ipam\.prefix/ })
})

/** The bundle, whose classes are not those of this process. */
function configCheck(section: string): SpawnSyncReturns<string> {
  const config = join(folder, 'config.yaml')
  writeFileSync(config, `plugins:\n  - module: ./list-ipam.ts\n${section}`)
  const command = fileURLToPath(new URL('../../build/bin/causeway', import.meta.url))
  return spawnSync(command, ['config', 'check', '--config', config], { encoding: 'utf8', timeout: 60_000 })
}

test('the command that is installed loads it and asks it about its section', () => {
  const good = configCheck('    prefix: 192.0.2\n    pool: default\n')
  assert.deepEqual([good.status, good.stdout, good.stderr], [0, `${join(folder, 'config.yaml')} is good\n`, ''])
  const bad = configCheck('    prefix: 7\n')
  assert.deepEqual(
    [bad.status, bad.stderr],
    [1, 'causeway: the configuration cannot be used:\nlist-ipam.prefix: allowed: three bytes such as 192.0.2\n'],
  )
})

ipamCompliance('list-ipam, from outside', async () => {
  const running = await load({ pool: 'default', prefix: '192.0.2', first: 10, size: 12 })
  const [ipam] = ipamsOf(running.slots)
  assert.ok(ipam)
  return {
    ipam,
    pool: 'default',
    family: 4,
    size: 12,
    address: '192.0.2.20',
    foreign: '192.0.2.200',
    cools: false,
    cool: async () => {},
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
})
