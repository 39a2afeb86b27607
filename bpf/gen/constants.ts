/** TypeScript for the load-time constants of bpf/lib/config.h: name, type, what it is for. */
import type { Btf, BtfType } from '../../daemon/kernel/bpf/btf.ts'
import type { Comments } from './comments.ts'
import type { Elf } from './elf.ts'
import { docLines } from './typescript.ts'

interface LoadConstant {
  readonly name: string
  readonly type: 'number' | 'bigint' | 'boolean'
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
  ].join('\n')
}

function constantsOf(btf: Btf, elf: Elf, comments: Comments): LoadConstant[] {
  const section = btf.find('datasec', '.rodata')
  if (!section) return []
  const symbols = new Map(elf.symbols().map(symbol => [symbol.name, symbol]))
  const constants = section.variables.map(({ type }): LoadConstant => {
    const variable = btf.type(type)
    if (variable.kind !== 'var') throw new RangeError(`.rodata holds ${variable.kind} ${variable.name}`)
    const symbol = symbols.get(variable.name)
    if (!symbol) throw new RangeError(`constant ${variable.name} has no symbol`)
    return {
      name: variable.name,
      offset: symbol.offset,
      doc: comments.get(variable.name),
      type: scalar(btf.resolve(variable.type), variable.name),
    }
  })
  return constants.toSorted((a, b) => a.offset - b.offset)
}

function scalar(type: BtfType, name: string): LoadConstant['type'] {
  if (type.kind !== 'int') throw new RangeError(`constant ${name} is no integer but ${type.kind}`)
  if (type.bool) return 'boolean'
  return type.size === 8 ? 'bigint' : 'number'
}
