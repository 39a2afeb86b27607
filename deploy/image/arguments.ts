/** The command line of `npm run image`. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ARCHITECTURES, type Architecture, ownArchitecture } from './oci-image.ts'

export const HELP = `npm run image [-- OPTIONS]

Makes the container image, without an engine and without a registry: an index in the OCI layout.

  --arch LIST      processors, such as amd64,arm64 (this machine's)
  --output PATH    where it goes: one archive when PATH ends in .tar, else a folder (build/image/causeway.tar)
  --tag NAME       the image's name in it (localhost/causeway:VERSION)
  --tree FOLDER    instead: the content of the image for one processor as plain files, for deploy/image/Dockerfile
  --help

The same sources and packages give the same digest. SOURCE_DATE_EPOCH is the time that everything in it bears (0).
`

export interface Arguments {
  readonly help: boolean
  readonly architectures: readonly Architecture[]
  readonly output: string
  readonly tag: string
  readonly tree: string | undefined
  /** Of everything in the image, in seconds since 1970. */
  readonly seconds: number
}

export interface Defaults {
  /** Folder of what is built. */
  readonly build: string
  readonly version: string
}

/** [host[:port]/]path:tag (distribution specification 1.1, and what runtimes do with a name without a host). */
const TAG = /^[a-z0-9.-]+(:\d+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/** Throws an Error for people when the arguments make no sense. */
export function parseArguments(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { build, version }: Defaults,
): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      arch: { type: 'string', default: ownArchitecture() },
      output: { type: 'string', default: `${build}/causeway.tar` },
      tag: { type: 'string', default: `localhost/causeway:${version}` },
      tree: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const architectures = [...new Set(values.arch.split(','))].map(architecture)
  if (!TAG.test(values.tag)) throw new Error(`--tag takes HOST/NAME:TAG in lower case, not ${values.tag}`)
  if (values.tree !== undefined && architectures.length > 1) throw new Error('--tree takes one processor')
  return {
    help: values.help,
    architectures,
    output: resolve(values.output),
    tag: values.tag,
    tree: values.tree === undefined ? undefined : resolve(values.tree),
    seconds: epoch(env['SOURCE_DATE_EPOCH'] ?? '0'),
  }
}

function architecture(text: string): Architecture {
  const found = ARCHITECTURES.find(a => a === text)
  if (found === undefined) throw new Error(`--arch takes ${ARCHITECTURES.join(', ')}, not ${text}`)
  return found
}

function epoch(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new Error(`SOURCE_DATE_EPOCH is a number of seconds, not ${text}`)
}
