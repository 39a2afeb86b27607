/** Every object loads with every configuration on this kernel; what that cost the verifier is kept for the host. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { OBJECT_DIRECTORY } from '../../../daemon/datapath/objects.ts'
import { loadObject, readObject } from '../../../daemon/kernel/bpf/object.ts'
import { configurations, PARAMETERS } from './configurations.ts'
import { keepFigures, type ProgramCost } from './results.ts'

/** The runner's own test puts a program in their place that no verifier accepts. */
const DIRECTORY = process.env.GUEST_OBJECTS ?? OBJECT_DIRECTORY
const OBJECTS = readdirSync(DIRECTORY).filter(name => name.endsWith('.o'))
/** The kernel's own limits, which no program may come near: BPF_COMPLEXITY_LIMIT_INSNS and MAX_BPF_STACK. */
const LIMITS: ProgramCost = { instructions: 1_000_000, stackBytes: 512 }
const SMALL_CONNTRACK = { conntrack: { maxEntries: 1024 } }

const figures: Record<string, Record<string, ProgramCost>> = {}
after(() => keepFigures('verifier', figures))

test('there are objects', () => assert.notEqual(OBJECTS.length, 0))

for (const name of OBJECTS)
  describe(name, () => {
    const path = join(DIRECTORY, name)
    const contents = readObject(path)
    const constants = contents.constants.map(c => c.name)

    test('has no constant without a parameter of the cover', () => {
      const covered = PARAMETERS.flatMap(p => Object.keys(p.levels[0] ?? {}))
      assert.deepEqual(
        constants.filter(c => !covered.includes(c)),
        [],
      )
    })

    for (const configuration of configurations())
      test(`loads with ${configuration.name}`, () => {
        const known = Object.entries(configuration.values).filter(([constant]) => constants.includes(constant))
        const maps = contents.maps.some(m => m.name === 'conntrack') ? SMALL_CONNTRACK : {}
        using object = loadObject(path, { constants: Object.fromEntries(known), maps, statistics: true })
        assert.deepEqual([...object.statistics.keys()].sort(), [...object.programs.keys()].sort())
        for (const [program, cost] of object.statistics) {
          assert.ok(cost.instructions <= LIMITS.instructions / 4, `${program}: ${cost.instructions} instructions`)
          assert.ok(cost.stackBytes <= LIMITS.stackBytes, `${program}: ${cost.stackBytes} bytes of stack`)
          ;(figures[program] ??= {})[configuration.name] = cost
        }
      })
  })
