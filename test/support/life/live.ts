/**
 * Lives a life in a world and holds what happens against a model: no address is held by two pods, none by nobody, no
 * device, route, neighbour or map entry is left over, and pods that live on keep the very device they had.
 */
import assert from 'node:assert/strict'
import { deviceName } from '../../../daemon/endpoint/key.ts'
import { type Collection, type Happening, printHappening, type Simple, type Single } from './generate.ts'
import { type Answer, keyOf, type Observation, type World } from './world.ts'

interface Attached {
  readonly addresses: readonly string[]
  /** 0 until an observation has told. */
  readonly index: number
  /** The runtime was told; else it only showed afterwards that the pod had been made. */
  readonly answered: boolean
}

export interface LiveOptions {
  readonly pods: readonly string[]
  /** Addresses a pod gets. */
  readonly families: number
  /** Whether ADD may be refused for want of an address. */
  readonly scarce: boolean
  /** How long what must hold may take to hold. Milliseconds. */
  readonly patienceMs: number
}

/** Throws AssertionError with the account of what happened. At the end every pod is deleted and nothing may be left. */
export async function live(world: World, life: readonly Happening[], options: LiveOptions): Promise<void> {
  const run = new Run(world, options)
  const account: string[] = []
  try {
    for (const happening of life) {
      account.push(printHappening(happening))
      await run.happen(happening)
      await run.hold()
    }
    account.push('the end')
    await run.end()
  } catch (error) {
    const text = error instanceof Error ? error.message : JSON.stringify(error)
    throw new assert.AssertionError({ message: `${account.join('\n')}\n→ ${text}` })
  }
}

class Run {
  readonly #world: World
  readonly #options: LiveOptions
  /** Pods that were answered an ADD and no DEL since. */
  readonly #attached = new Map<string, Attached>()
  /** Pods whose last verb had no certain end: all or nothing of them must be there. */
  readonly #unsure = new Set<string>()

  constructor(world: World, options: LiveOptions) {
    this.#world = world
    this.#options = options
  }

  async happen(happening: Happening): Promise<void> {
    switch (happening.kind) {
      case 'kill':
        return this.#world.kill()
      case 'restart':
        await this.#world.restart(happening.dieAt)
        return this.#world.disarm()
      case 'check':
        return this.#check(happening.pod)
      case 'gc':
        return this.#gc(happening.without)
      case 'stumble':
        await this.#world.restart(happening.after)
        return this.#world.disarm()
      case 'kill-amid':
        await this.#wake()
        this.#world.killAfter(happening.after)
        await this.#disturbed(happening.during)
        return this.#world.disarm()
      case 'die':
        await this.#wake()
        await this.#world.dieAt(happening.step, happening.nth)
        await this.#disturbed(happening.during)
        return this.#world.disarm()
      case 'refuse':
        await this.#wake()
        this.#world.refuseAt(happening.nth)
        await this.#disturbed(happening.during)
        return this.#world.disarm()
      case 'add':
      case 'del':
      case 'remove-namespace':
      case 'together':
        return this.#simple(happening, true)
    }
  }

  /** Checks the invariants, within the patience, unless there is no daemon that could see to them. */
  async hold(): Promise<void> {
    if (!this.#world.alive) return
    const until = Date.now() + this.#options.patienceMs
    for (;;) {
      await this.#world.settle()
      const seen = await this.#world.observe()
      const wrong = this.#wrong(seen)
      if (wrong.length === 0) {
        this.#learn(seen)
        break
      }
      if (Date.now() > until) throw new Error(wrong.join('\n'))
    }
    const silent = await Promise.all(
      [...this.#attached].map(([pod, { addresses }]) => this.#world.reach(pod, addresses)),
    )
    assert.deepEqual(
      silent.filter(reason => reason !== undefined),
      [],
    )
  }

  async end(): Promise<void> {
    await this.#wake()
    await this.hold()
    for (const pod of this.#options.pods) await this.#simple({ kind: 'del', pod }, true)
    await this.hold()
    const seen = await this.#world.observe()
    assert.deepEqual(seen, { devices: [], leases: [], map: [], routes: [], neighbours: [], leftovers: [] })
  }

  async #wake(): Promise<void> {
    if (!this.#world.alive) await this.#world.restart()
  }

  /** Verbs that need not succeed. */
  async #disturbed(during: Simple | Collection): Promise<void> {
    if (during.kind !== 'gc') return this.#simple(during, false)
    this.#doubt(during.without)
    await this.#world.gc([...this.#attached.keys()])
  }

  /** `sure`: nothing was armed, so that refusals are mistakes. */
  async #simple(happening: Simple, sure: boolean): Promise<void> {
    if (happening.kind === 'together') {
      await this.#wake()
      const pods = happening.all.map(each => each.pod)
      const contested = new Set(pods.filter((pod, i) => pods.indexOf(pod) !== i))
      for (const pod of contested) this.#doubt(pod)
      await Promise.all(happening.all.map(each => this.#verb(each, sure, contested.has(each.pod))))
      return
    }
    if (happening.kind === 'add') await this.#wake()
    await this.#verb(happening, sure, false)
  }

  /** `contested`: other verbs of the same pod are under way, so that the answers tell nothing. */
  async #verb({ kind, pod }: Single, sure: boolean, contested: boolean): Promise<void> {
    if (kind === 'remove-namespace') {
      this.#attached.delete(pod)
      return this.#world.removeNamespace(pod)
    }
    // From now on its addresses may be given to others, who may be answered first.
    if (kind === 'del') this.#doubt(pod)
    const answer = kind === 'add' ? await this.#world.add(pod) : await this.#world.del(pod)
    if (!contested) this.#note(kind, pod, answer, sure)
  }

  #note(kind: 'add' | 'del', pod: string, answer: Answer, sure: boolean): void {
    if (answer.outcome === 'refused' && sure) {
      const want = kind === 'add' && this.#options.scarce && answer.code === 11
      assert.ok(want, `${kind} ${pod} was refused with ${answer.code}: ${answer.text}`)
    }
    if (kind === 'add' && answer.outcome === 'ok') return this.#added(pod, answer.addresses)
    if (kind === 'del' && (answer.outcome === 'ok' || answer.outcome === 'queued')) {
      this.#attached.delete(pod)
      this.#unsure.delete(pod)
    } else this.#doubt(pod)
  }

  #added(pod: string, addresses: readonly string[]): void {
    assert.equal(addresses.length, this.#options.families, `${pod} was answered ${addresses.join(' ')}`)
    for (const [other, { addresses: held }] of this.#attached) {
      const both = other === pod ? [] : held.filter(address => addresses.includes(address))
      assert.deepEqual(both, [], `${pod} was given what ${other} holds`)
    }
    const before = this.#attached.get(pod)
    this.#attached.set(pod, { addresses, index: before?.index ?? 0, answered: true })
    if (before) assert.deepEqual(addresses, before.addresses, `${pod} was answered other addresses the second time`)
  }

  #doubt(pod: string): void {
    this.#attached.delete(pod)
    this.#unsure.add(pod)
  }

  async #check(pod: string): Promise<void> {
    await this.#wake()
    await this.hold()
    const answer = await this.#world.check(pod)
    const text = answer.outcome === 'refused' ? `${answer.code}: ${answer.text}` : answer.outcome
    const attached = this.#attached.get(pod)
    // Without an answer the runtime has no result, or an old one, that could be checked.
    if (attached?.answered === false) return
    assert.equal(answer.outcome, attached ? 'ok' : 'refused', `CHECK of ${pod} answered ${text}`)
  }

  async #gc(without: string): Promise<void> {
    await this.#wake()
    await this.hold()
    const answer = await this.#world.gc([...this.#attached.keys()].filter(pod => pod !== without))
    assert.equal(answer.outcome, 'ok', `GC answered ${JSON.stringify(answer)}`)
    this.#attached.delete(without)
  }

  /** What contradicts the model, one line each. */
  #wrong(seen: Observation): string[] {
    const owners = new Set(this.#options.pods.map(pod => deviceName(keyOf(pod))))
    const strangers = seen.devices.filter(device => !owners.has(device.name))
    const indices = new Set(seen.devices.map(device => device.index))
    const held = new Set(seen.leases.map(lease => lease.address))
    const loose = [...seen.map, ...seen.routes, ...seen.neighbours].filter(each => !indices.has(each.index))
    return [
      ...strangers.map(device => `a stranger: ${device.name}`),
      ...loose.map(each => `something leads to device ${each.index}, which is not there: ${each.address}`),
      ...(held.size === seen.leases.length ? [] : ['an address is leased twice']),
      ...seen.leftovers,
      ...this.#options.pods.flatMap(pod => this.#wrongPod(pod, seen)),
    ]
  }

  #wrongPod(pod: string, seen: Observation): string[] {
    const device = seen.devices.find(each => each.name === deviceName(keyOf(pod)))
    const leases = seen.leases.filter(lease => lease.owner === keyOf(pod)).map(lease => lease.address)
    const expected = this.#attached.get(pod)
    if (!device) {
      const lost = expected ? [`${pod} lost its device`] : []
      return leases.length === 0 ? lost : [...lost, `${pod} holds ${leases.join(' ')} without a device`]
    }
    if (!expected && !this.#unsure.has(pod)) return [`${pod} still has a device`]
    const at = (list: Observation['map']) => list.filter(each => each.index === device.index).map(each => each.address)
    const lists = { leases, map: at(seen.map), routes: at(seen.routes), neighbours: at(seen.neighbours) }
    const want = [...(expected?.addresses ?? leases)].sort().join(' ')
    const differing = Object.entries(lists).filter(([, list]) => [...list].sort().join(' ') !== want)
    const anew = expected && expected.index !== 0 && expected.index !== device.index
    return [
      ...(want === '' ? [`${pod} has a device and no address`] : []),
      ...(anew ? [`${pod} has device ${device.index}, it had ${expected.index}`] : []),
      ...differing.map(([name, list]) => `${pod} holds ${want}, but ${name}: ${list.join(' ')}`),
    ]
  }

  /** Pods that were in doubt are what they were seen to be. */
  #learn(seen: Observation): void {
    for (const pod of this.#options.pods) {
      const device = seen.devices.find(each => each.name === deviceName(keyOf(pod)))
      const addresses = seen.leases.filter(lease => lease.owner === keyOf(pod)).map(lease => lease.address)
      const known = this.#attached.get(pod) ?? { addresses, answered: false }
      if (device) this.#attached.set(pod, { ...known, index: device.index })
      else this.#attached.delete(pod)
    }
    this.#unsure.clear()
  }
}
