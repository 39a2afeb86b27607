/**
 * The first root of a guest: busybox and the modules that reach the host's files. Its `init` mounts the host's root,
 * read-only, under a layer in memory that takes what is written, and goes on there.
 *
 * Format: Documentation/driver-api/early-userspace/buffer-format.rst (cpio, newc).
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { runCommand } from '../../deploy/lab/command.ts'
import { ROOT_TAG } from './share-tags.ts'

const BUSYBOX = '/bin/busybox'
/** As modprobe resolves them, with what they need. */
const MODULES = ['virtio_pci', 'virtiofs', 'overlay']
const REGULAR = 0o100_000
const FOLDER = 0o040_000

interface Entry {
  readonly name: string
  readonly mode: number
  readonly contents?: Uint8Array
}

/** For the kernel whose modules lie below `root`; `script` is what bash runs as process 1 of the guest. */
export async function initramfs(root: string, release: string, script: string): Promise<Buffer> {
  const modules = await moduleFiles(root, release)
  const loaded = modules.map((path, i): Entry => {
    return {
      name: `modules/${i}-${basename(path).replace('.xz', '')}`,
      mode: REGULAR | 0o644,
      contents: readModule(path),
    }
  })
  const folders = ['bin', 'modules', 'proc', 'sys', 'dev', 'host', 'layer', 'new']
  return cpio([
    ...folders.map((name): Entry => ({ name, mode: FOLDER | 0o755 })),
    { name: 'bin/busybox', mode: REGULAR | 0o755, contents: readFileSync(BUSYBOX) },
    ...loaded,
    {
      name: 'init',
      mode: REGULAR | 0o755,
      contents: Buffer.from(
        initScript(
          loaded.map(m => m.name),
          script,
        ),
      ),
    },
  ])
}

/** In the order in which they are to be loaded. */
async function moduleFiles(root: string, release: string): Promise<string[]> {
  // What is not there as a module is built in: from 7.3 on virtiofs is. Debian's lists do not always tell.
  const shown = await Promise.all(
    MODULES.map(name => runCommand(['modprobe', '-d', root, '-S', release, '--show-depends', name])),
  )
  const files = shown.flatMap(({ stdout: text }) => [...text.matchAll(/^insmod (\S+)/gm)].map(match => match[1] ?? ''))
  return [...new Set(files)]
}

function readModule(path: string): Buffer {
  if (!path.endsWith('.xz')) return readFileSync(path)
  const { status, stdout, error } = spawnSync('xz', ['-dc', path], { maxBuffer: 64 << 20 })
  if (error || status !== 0) throw new Error(`${path} cannot be decompressed`, { cause: error })
  return stdout
}

function initScript(modules: readonly string[], script: string): string {
  return `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
${modules.map(name => `$b insmod /${name}`).join('\n')}
$b mount -t virtiofs -o ro ${ROOT_TAG} /host &&
	$b mount -t tmpfs layer /layer &&
	$b mkdir /layer/upper /layer/work &&
	$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /new || exit 1
for part in proc sys dev; do $b mount --move /$part /new/$part; done
exec $b switch_root /new /bin/bash ${script}
`
}

/** An archive of the entries, in their order. Numbers are of eight hexadecimal digits; names and contents begin at multiples of four. */
export function cpio(entries: readonly Entry[]): Buffer {
  const parts = [...entries, { name: 'TRAILER!!!', mode: 0 }].flatMap((entry: Entry, i) => {
    const contents = entry.contents ?? new Uint8Array()
    const links = (entry.mode & FOLDER) === FOLDER ? 2 : 1
    const fields = [i + 1, entry.mode, 0, 0, links, 0, contents.length, 0, 0, 0, 0, entry.name.length + 1, 0]
    const header = `070701${fields.map(n => n.toString(16).padStart(8, '0')).join('')}${entry.name}\0`
    return [padded(Buffer.from(header)), padded(Buffer.from(contents))]
  })
  return Buffer.concat(parts)
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}
