import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16, prefixContains } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import type { IpcacheRow } from '../state/tables.ts'
import { ipcacheTarget } from './map-targets.ts'
import type { IpcacheKey, IpcacheValue } from './shared.gen.ts'

/** Looks up as the kernel's trie does: the longest prefix that covers the key's. */
class Trie extends MemoryMap<IpcacheKey, IpcacheValue> {
  override lookup(key: IpcacheKey): IpcacheValue | undefined {
    const covering = [...this.entries()].filter(([other]) => prefixContains(textOf(other), textOf(key)))
    return covering.toSorted(([a], [b]) => b.prefixLength - a.prefixLength)[0]?.[1]
  }
  prefixes(): string[] {
    return [...this.entries()].map(([key]) => textOf(key)).sort()
  }
}
function textOf({ address, prefixLength }: IpcacheKey): string {
  return `${fromMapped16(address)}/${prefixLength - 96}`
}

const row = (prefix: string, node = 'a'): IpcacheRow => ({ prefix, node, path: { kind: 'native' } })
const signal = new AbortController().signal

test('a prefix within another of the same node is written, for the wider one may go', async () => {
  for (const batch of [false, true]) {
    const trie = new Trie('ipcache', 100)
    const target = ipcacheTarget(() => trie)
    await target.update(row('10.64.0.0/16'), undefined, signal)
    if (batch) await target.updateBatch?.([row('10.64.1.0/24'), row('10.64.2.0/24')], [undefined, undefined], signal)
    else for (const prefix of ['10.64.1.0/24', '10.64.2.0/24']) await target.update(row(prefix), undefined, signal)
    await target.delete(row('10.64.0.0/16'), signal)
    assert.deepEqual(trie.prefixes(), ['10.64.1.0/24', '10.64.2.0/24'])
  }
})

test('carrying rows again counts only those that were wrong', async () => {
  const trie = new Trie('ipcache', 100)
  const target = ipcacheTarget(() => trie)
  const rows = ['10.64.1.0/24', '10.64.2.0/24', '10.64.3.0/24'].map(prefix => row(prefix))
  const again = async (): Promise<number | undefined> => target.updateBatch?.(rows, rows, signal)
  assert.equal(await again(), 3)
  assert.equal(await again(), 0)
  await target.update(row('10.64.2.0/24', 'b'), undefined, signal)
  await target.delete(row('10.64.3.0/24'), signal)
  assert.equal(await again(), 2)
})
