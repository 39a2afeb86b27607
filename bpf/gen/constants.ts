/** TypeScript for the load-time constants of bpf/lib/config.h: name, type, default, what it is for. */
import type { Btf, BtfType } from '../../daemon/kernel/bpf/btf.ts'
import type { Comments } from './comments.ts'
import type { Elf } from './elf.ts'
import { docLines } from './typescript.ts'

interface LoadConstant {
  readonly name: string
  readonly type: 'number' | 'bigint' | 'boolean'
  readonly fallback: string
  /** In the section: rises in the order of declaration. */
  readonly offset: number
  readonly doc: string | undefined
}

/** The constants of an object, in the order of their declaration; throws RangeError for one that is no integer. */
export function constantsSource(btf: Btf, elf: Elf, comments: Comments): string {
  const constants = constantsOf(btf, elf, comments)
  return [
    '/** Load-time constants of the programs, by their names in C. Those left out keep what bpf/lib/config.h says. */',
    'export interface DatapathConfig {',
    ...constants.flatMap(c => [...docLines('  ', c.doc), `  readonly ${c.name}: ${c.type}`]),
    '}',
    '',
    '/** What bpf/lib/config.h says. */',
    'export const defaultDatapathConfig: DatapathConfig = {',
    ...constants.map(c => `  ${c.name}: ${c.fallback},`),
    '}',
    '',
  ].join('\n')
}

function constantsOf(btf: Btf, elf: Elf, comments: Comments): LoadConstant[] {
  const section = btf.find('datasec', '.rodata')
  const content = elf.section('.rodata')
  if (!section || !content) return []
  const symbols = new Map(elf.symbols().map(symbol => [symbol.name, symbol]))
  const constants = section.variables.map(({ type }): LoadConstant => {
    const variable = btf.type(type)
    if (variable.kind !== 'var') throw new RangeError(`.rodata holds ${variable.kind} ${variable.name}`)
    const symbol = symbols.get(variable.name)
    if (!symbol) throw new RangeError(`constant ${variable.name} has no symbol`)
    const value = content.subarray(symbol.offset, symbol.offset + symbol.size)
    const doc = comments.get(variable.name)
    return {
      name: variable.name,
      offset: symbol.offset,
      doc,
      ...scalar(btf.resolve(variable.type), variable.name, value),
    }
  })
  return constants.toSorted((a, b) => a.offset - b.offset)
}

function scalar(type: BtfType, name: string, content: Uint8Array): Pick<LoadConstant, 'type' | 'fallback'> {
  if (type.kind !== 'int') throw new RangeError(`constant ${name} is no integer but ${type.kind}`)
  const unsigned = content.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  const value = type.signed ? BigInt.asIntN(8 * type.size, unsigned) : unsigned
  if (type.bool) return { type: 'boolean', fallback: value === 0n ? 'false' : 'true' }
  return type.size === 8 ? { type: 'bigint', fallback: `${value}n` } : { type: 'number', fallback: `${value}` }
}
