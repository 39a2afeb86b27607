/** TypeScript for structures and enumerations: an interface, its size, and both ways over a DataView. */
import type { Btf, BtfMember, BtfType } from '../../daemon/kernel/bpf/btf.ts'
import type { Comments } from './comments.ts'

type Struct = Extract<BtfType, { readonly kind: 'struct' }>
type Enum = Extract<BtfType, { readonly kind: 'enum' }>

/** A member in TypeScript; `at` in the expressions is the structure's offset in `view`. */
interface Field {
  readonly name: string
  readonly type: string
  readonly doc: string
  readonly decode: string
  readonly encode: string
}

/** Throws RangeError for what the shared structures must not contain: unnamed padding, bit fields, unions, pointers. */
export function structSource(btf: Btf, struct: Struct, comments: Comments): string {
  checkPadding(btf, struct)
  const name = pascal(struct.name)
  const constant = `${struct.name.toUpperCase()}_SIZE`
  const only = transparentMember(btf, struct)
  const body = only ? bytesBody(name, btf.sizeOf(only.type)) : fieldsBody(name, fieldsOf(btf, struct, comments))
  return [
    ...body.declaration(docOf(comments, `struct ${struct.name}`, `\`struct ${struct.name}\`, ${struct.size} bytes.`)),
    `export const ${constant} = ${struct.size}`,
    `export function decode${name}(view: DataView, at: number): ${body.type} {`,
    ...body.decode,
    '}',
    `export function encode${name}(view: DataView, at: number, value: ${body.type}): void {`,
    ...body.encode,
    '}',
    `export const ${camel(struct.name)}Layout: Layout<${body.type}> = {`,
    `  size: ${constant},`,
    `  decode: decode${name},`,
    `  encode: encode${name},`,
    '}',
    '',
  ].join('\n')
}

export function enumSource(type: Enum, comments: Comments): string {
  const name = pascal(type.name)
  const values = type.values.flatMap(value => [
    ...docLines('  ', comments.get(`enum ${type.name}.${value.name}`)),
    `  ${value.name}: ${value.value},`,
  ])
  return [
    ...docLines('', docOf(comments, `enum ${type.name}`, `\`${type.name}\`.`)),
    `export const ${name} = {`,
    ...values,
    '} as const',
    `export type ${name} = (typeof ${name})[keyof typeof ${name}]`,
    '',
  ].join('\n')
}

interface Body {
  readonly type: string
  declaration(doc: string): string[]
  readonly decode: readonly string[]
  readonly encode: readonly string[]
}

function fieldsBody(name: string, fields: readonly Field[]): Body {
  const shown = fields.filter(field => field.name !== '')
  return {
    type: name,
    declaration: doc => [
      ...docLines('', doc),
      `export interface ${name} {`,
      ...shown.flatMap(field => [...docLines('  ', field.doc), `  readonly ${field.name}: ${field.type}`]),
      '}',
    ],
    decode: ['  return {', ...shown.map(field => `    ${field.name}: ${field.decode},`), '  }'],
    encode: fields.map(field => `  ${field.encode}`),
  }
}

/** A structure around nothing but bytes is those bytes. */
function bytesBody(name: string, size: number): Body {
  return {
    type: 'Uint8Array',
    declaration: doc => docLines('', `${doc} In TypeScript its bytes; see decode${name}.`),
    decode: [`  return getBytes(view, at, ${size})`],
    encode: [`  putBytes(view, at, value, ${size})`],
  }
}

function transparentMember(btf: Btf, struct: Struct): BtfMember | undefined {
  const [only, ...others] = struct.members
  return only && others.length === 0 && isBytes(btf, only.type) ? only : undefined
}

function fieldsOf(btf: Btf, struct: Struct, comments: Comments): Field[] {
  return struct.members.map(member => {
    const doc = comments.get(`struct ${struct.name}.${member.name}`) ?? ''
    const at = place(member.bitOffset / 8)
    const size = btf.sizeOf(member.type)
    if (/^pad\d*$/.test(member.name)) {
      return { name: '', type: '', doc: '', decode: '', encode: `putZeros(view, ${at}, ${size})` }
    }
    return { name: camel(member.name), doc, ...conversion(btf, struct, member, at, size) }
  })
}

function conversion(
  btf: Btf,
  struct: Struct,
  member: BtfMember,
  at: string,
  size: number,
): Pick<Field, 'type' | 'decode' | 'encode'> {
  const type = btf.resolve(member.type)
  const value = `value.${camel(member.name)}`
  if (isBytes(btf, member.type)) {
    const encode = `putBytes(view, ${at}, ${value}, ${size})`
    return { type: 'Uint8Array', decode: `getBytes(view, ${at}, ${size})`, encode }
  }
  if (type.kind === 'struct') {
    const name = pascal(type.name)
    const inner = transparentMember(btf, type) ? 'Uint8Array' : name
    return { type: inner, decode: `decode${name}(view, ${at})`, encode: `encode${name}(view, ${at}, ${value})` }
  }
  if (type.kind === 'int' || type.kind === 'enum') {
    const signed = type.kind === 'int' && type.signed
    return integer(size, signed, isNetworkOrder(btf, member.type), at, value)
  }
  throw new RangeError(`struct ${struct.name}: member ${member.name} is of a kind that is not generated (${type.kind})`)
}

function integer(
  size: number,
  signed: boolean,
  network: boolean,
  at: string,
  value: string,
): Omit<Field, 'name' | 'doc'> {
  const method = `${size === 8 ? 'Big' : ''}${signed ? 'Int' : 'Uint'}${8 * size}`
  const order = size === 1 ? '' : `, ${!network}`
  return {
    type: size === 8 ? 'bigint' : 'number',
    decode: `view.get${method}(${at}${order})`,
    encode: `view.set${method}(${at}, ${value}${order})`,
  }
}

/** Arrays of bytes, and of words in network order, which are bytes on their way. */
function isBytes(btf: Btf, id: number): boolean {
  const type = btf.resolve(id)
  if (type.kind !== 'array') return false
  return btf.sizeOf(type.element) === 1 || isNetworkOrder(btf, type.element)
}
function isNetworkOrder(btf: Btf, id: number): boolean {
  return btf.typedefName(id)?.startsWith('__be') ?? false
}

/** The verifier compares keys byte by byte: what has no name would be written by chance. */
function checkPadding(btf: Btf, struct: Struct): void {
  let end = 0
  for (const member of struct.members) {
    if (member.bitSize !== 0) throw new RangeError(`struct ${struct.name}: member ${member.name} is a bit field`)
    if (member.name === '') throw new RangeError(`struct ${struct.name}: a member has no name`)
    if (member.bitOffset !== 8 * end) throw new RangeError(`struct ${struct.name}: unnamed padding at byte ${end}`)
    end += btf.sizeOf(member.type)
  }
  if (end !== struct.size) throw new RangeError(`struct ${struct.name}: unnamed padding at byte ${end}`)
}

function place(offset: number): string {
  return offset === 0 ? 'at' : `at + ${offset}`
}
function docOf(comments: Comments, key: string, what: string): string {
  const comment = comments.get(key)
  return comment === undefined ? what : `${what} ${sentence(comment)}`
}
/** A doc comment, on one line where it fits. */
export function docLines(indent: string, doc: string | undefined): string[] {
  return doc === undefined || doc === '' ? [] : [`${indent}/** ${sentence(doc)} */`]
}
function sentence(comment: string): string {
  const text = comment.replace(/\benum (\w+)/g, (_, name: string) => `\`${pascal(name)}\``)
  const capital = /^[a-z]+([ ,:]|$)/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text
  return /[.!?]$/.test(capital) ? capital : `${capital}.`
}
function camel(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}
function pascal(name: string): string {
  const text = camel(name)
  return text.charAt(0).toUpperCase() + text.slice(1)
}
