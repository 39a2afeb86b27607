import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { compilePrograms } from '../../test/bpf/node.ts'
import { OBJECT_DIRECTORY, OBJECT_OF } from '../datapath/objects.ts'
import { MAP_LAYOUTS } from '../datapath/pinned-maps.ts'
import { mapFlag } from '../kernel/bpf/codes.ts'
import { type LoadedObject, loadObject, type MapOptions, readObject } from '../kernel/bpf/object.ts'
import { VerifierError } from '../kernel/bpf/object-errors.ts'
import { MAP_USE } from './map-use.ts'
import type { TracedProgram } from './private-program.ts'

suite('what a trace does with each map', () => {
  before(compilePrograms)

  test('is said of every map that the programs have, and of no other', () => {
    const objects = readdirSync(OBJECT_DIRECTORY).filter(name => name.endsWith('.o'))
    const maps = objects.flatMap(name => readObject(join(OBJECT_DIRECTORY, name)).maps.map(map => map.name))
    const own = maps.filter(name => !name.includes('.'))
    assert.deepEqual(Object.keys(MAP_USE).sort(), [...new Set(own)].sort())
    assert.deepEqual(Object.keys(MAP_USE).sort(), Object.keys(MAP_LAYOUTS).sort())
  })

  /**
   * Of these it cannot be asked: the kernel takes the flag for no map of maps, which helpers do not write either, and what
   * a function of its own is given a pointer to, the verifier takes to be written there; the source says const.
   */
  const NOT_ASKED = ['maglev_segments', 'services']
  const shared = Object.keys(MAP_USE).filter(name => MAP_USE[name] === 'shared' && !NOT_ASKED.includes(name))

  /** With maps that the verifier lets no program write. */
  function loadReadOnly(program: TracedProgram, names: readonly string[]): LoadedObject {
    const options: MapOptions = { flags: mapFlag.RDONLY_PROG }
    const maps = Object.fromEntries(names.map(name => [name, options]))
    return loadObject(join(OBJECT_DIRECTORY, `${OBJECT_OF[program]}.o`), { only: [program], maps })
  }

  for (const program of Object.keys(OBJECT_OF) as TracedProgram[])
    test(`is kept by ${program}: it writes no map that is shared`, () => {
      using object = loadReadOnly(program, shared)
      assert.ok(object.programFd(program) > 0)
    })

  test('is such that a map which is written could not be shared', () => {
    for (const name of ['conntrack', 'translations', 'metrics'])
      assert.throws(() => loadReadOnly('pod_out', [name]), VerifierError, name)
  })
})
