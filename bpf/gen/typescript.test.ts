import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Btf } from '../../daemon/kernel/bpf/btf.ts'
import { constantsSource } from './constants.ts'
import type { Elf } from './elf.ts'
import { compile } from './testdata.ts'
import { enumSource, structSource } from './typescript.ts'

const source = `
#include <linux/types.h>
struct address { __be32 words[4]; };
enum colour { RED = 1, GREEN = 250 };
enum big { BIG = 0x100000000ULL };
struct inner { __u8 a; __s8 b; __be16 port; };
struct outer {
	struct address from;
	struct inner inner;
	__u32 plain;
	__be32 network_order;
	__s32 negative;
	__u64 large;
	__be64 large_network;
	__u8 mac[6];
	__u8 pad[2];
};
struct holes { __u8 a; __u32 b; };
struct tail { __u64 a; __u32 b; };
struct bits { __u32 a : 3; __u32 b : 29; };
struct pointer { void *a; };
struct address address; enum colour colour; enum big big; struct outer outer;
struct holes holes; struct tail tail; struct bits bits; struct pointer pointer;
const volatile __u32 second = 7;
const volatile __u64 first_ns = 5000000000;
const volatile __s16 minus = -3;
const volatile _Bool on = 1;
`

describe('generated TypeScript', () => {
  let btf: Btf
  let elf: Elf
  before(async () => {
    ;({ btf, elf } = await compile(source))
  })
  const struct = (name: string): string => {
    const found = btf.find('struct', name)
    assert.ok(found)
    return structSource(btf, found, new Map([[`struct ${name}.plain`, 'enum colour']]))
  }

  it('reads and writes every field at its place and in its order', async () => {
    const code = ['address', 'inner', 'outer'].map(struct).join('\n')
    const layouts = (await evaluate(code)) as Outer
    const value = {
      from: new Uint8Array(16).fill(0xaa),
      inner: { a: 1, b: -2, port: 0x1234 },
      plain: 0x01020304,
      networkOrder: 0x01020304,
      negative: -2,
      large: 0x0102030405060708n,
      largeNetwork: 0x0102030405060708n,
      mac: new Uint8Array([1, 2, 3, 4, 5, 6]),
    }
    const bytes = Buffer.alloc(layouts.OUTER_SIZE + 4, 0xff)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    layouts.encodeOuter(view, 4, value)
    assert.equal(
      bytes.toString('hex'),
      'ffffffff' +
        'aa'.repeat(16) +
        '01fe1234' +
        '04030201' +
        '01020304' +
        'feffffff' +
        '0807060504030201' +
        '0102030405060708' +
        '010203040506' +
        '0000',
    )
    assert.deepEqual(layouts.outerLayout.decode(view, 4), value)
    assert.equal(layouts.outerLayout.size, 56)
  })

  it('shows what people read: types, comments, no padding', () => {
    const text = struct('outer')
    assert.match(text, /\/\*\* `struct outer`, 56 bytes\. \*\//)
    assert.match(text, /\/\*\* `Colour`\. \*\/\n {2}readonly plain: number\n/)
    assert.match(text, /readonly large: bigint\n/)
    assert.doesNotMatch(text, /readonly pad/)
  })

  it('of an enumeration is an object and the type of its values', () => {
    const colour = btf.find('enum', 'colour')
    assert.ok(colour)
    assert.equal(
      enumSource(colour, new Map([['enum colour.RED', 'stop']])),
      [
        '/** `colour`. */',
        'export const Colour = {',
        '  /** Stop. */',
        '  RED: 1,',
        '  GREEN: 250,',
        '} as const',
        'export type Colour = (typeof Colour)[keyof typeof Colour]',
        '',
      ].join('\n'),
    )
    assert.equal(btf.find('enum', 'big')?.values[0]?.value, 1n << 32n)
  })

  it('of constants tells types and what they are for, in the order of the source', () => {
    const text = constantsSource(btf, elf, new Map([['second', 'the second']]))
    assert.match(text, /\/\*\* The second\. \*\/\n {2}readonly second: number\n {2}readonly first_ns: bigint\n/)
    assert.match(text, /readonly minus: number\n {2}readonly on: boolean\n}/)
  })

  for (const [name, message] of [
    ['holes', /struct holes: unnamed padding at byte 1/],
    ['tail', /struct tail: unnamed padding at byte 12/],
    ['bits', /struct bits: member a is a bit field/],
    ['pointer', /struct pointer: member a is of a kind that is not generated \(ptr\)/],
  ] as const) {
    it(`is refused for what must not be shared: ${name}`, () => {
      assert.throws(() => struct(name), message)
    })
  }
})

interface Outer {
  readonly OUTER_SIZE: number
  readonly outerLayout: { readonly size: number; decode(view: DataView, at: number): unknown }
  encodeOuter(view: DataView, at: number, value: object): void
}

/** Loads generated source as a module. */
async function evaluate(code: string): Promise<unknown> {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-gen-'))
  try {
    const layout = new URL('../../daemon/kernel/bpf/layout.ts', import.meta.url).href
    const imports = `import { getBytes, type Layout, putBytes, putZeros } from '${layout}'\n`
    const file = join(dir, 'layouts.ts')
    writeFileSync(file, imports + code)
    return await import(pathToFileURL(file).href)
  } finally {
    rmSync(dir, { recursive: true })
  }
}
