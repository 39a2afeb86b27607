/** The way a flow's replies take: as it came, by the programs or through the host's stack. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { compilePrograms, TestNode, type Verdict } from './node.ts'
import { state, step } from './steps.ts'
import { FAMILIES } from './world.ts'

let node: TestNode
let began: bigint
before(async () => {
  await compilePrograms()
  node = new TestNode()
})
after(() => node[Symbol.dispose]())
beforeEach(() => {
  node.reset()
  began = process.hrtime.bigint()
})

interface WayStory {
  readonly what: string
  /** Each with its verdict. */
  readonly steps: readonly (readonly [string, Verdict])[]
  readonly state: string
}
const ways: readonly WayStory[] = [
  {
    what: 'a flow that entered through the stack goes back through it',
    steps: [
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
      ['out→stack→A A', 'stack'],
      ['A→out ^PA', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED VIA_STACK 2/2 8000 s',
  },
  {
    what: 'a datagram that entered through the stack is answered through it',
    steps: [
      ['out→stack→A udp', 'stack'],
      ['A→out ^udp', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED VIA_STACK 1/1 120 s',
  },
  {
    what: 'a flow that a pod opened keeps its way though replies come through the stack',
    steps: [
      ['A→out S', 'redirect'],
      ['out→stack→A ^SA', 'stack'],
      ['A→out A', 'redirect'],
      ['out→stack→A ^PA', 'stack'],
      ['A→out A', 'redirect'],
    ],
    state: 'ESTABLISHED REPLIED 3/2 8000 s',
  },
  {
    what: 'a flow that entered by an uplink goes back by itself',
    steps: [
      ['out→A S', 'redirect'],
      ['A→out ^SA', 'redirect'],
      ['out→A A', 'redirect'],
    ],
    state: 'ESTABLISHED REPLIED 2/1 8000 s',
  },
  {
    what: 'ports used again through the stack are answered through it',
    steps: [
      ['out→A S', 'redirect'],
      ['A→out ^RA', 'redirect'],
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
    ],
    state: 'REPLIED VIA_STACK 1/1 60 s',
  },
  {
    what: 'ports used again by an uplink are answered by it',
    steps: [
      ['out→stack→A S', 'stack'],
      ['A→out ^RA', 'stack'],
      ['out→A S', 'redirect'],
      ['A→out ^SA', 'redirect'],
    ],
    state: 'REPLIED 1/1 60 s',
  },
  {
    what: 'a flow whose answer was seen first goes back through the stack once its opener came through it',
    steps: [
      ['A→out ^SA', 'redirect'],
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
    ],
    state: 'PICKED_UP REPLIED VIA_STACK 1/2 60 s',
  },
  {
    what: 'ports used again through the stack, of a flow that never closed, are answered through it',
    steps: [
      ['out→A S', 'redirect'],
      ['A→out ^SA', 'redirect'],
      ['out→stack→A S', 'stack'],
      ['A→out ^SA', 'stack'],
    ],
    state: 'REPLIED VIA_STACK 2/2 60 s',
  },
  {
    what: 'a flow to the node and its replies are one',
    steps: [
      ['A→host S', 'stack'],
      ['host→A ^SA', 'stack'],
      ['A→host A', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED 2/1 8000 s',
  },
  {
    what: 'a flow of the node to a pod and its replies are one',
    steps: [
      ['host→A S', 'stack'],
      ['A→host ^SA', 'stack'],
      ['host→A A', 'stack'],
    ],
    state: 'ESTABLISHED REPLIED VIA_STACK 2/1 8000 s',
  },
]
for (const family of FAMILIES)
  suite(`IPv${family}, ways`, () => {
    for (const { what, steps, state: wanted } of ways)
      test(what, () => {
        assert.deepEqual(
          steps.map(([text]) => [text, step(node, text, family)]),
          steps.map(pair => [...pair]),
        )
        assert.equal(state(node, began), wanted)
      })
  })
