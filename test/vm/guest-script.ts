/** What process 1 of a guest does: the mounts of a Debian machine, one command, its status, power off. */
import { join } from 'node:path'
import { RESULTS_TAG } from './share-tags.ts'

export interface GuestCommand {
  readonly command: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Folder with the kernel's `lib/modules`. */
  readonly modules: string
  /** Shared with the host and writable, at the same path on both sides. */
  readonly shared: string
  /** Below `shared`: where what the command prints, its status and the kernel's log go. */
  readonly folder: string
}

/** Files of a guest's folder. */
export const OUTPUT_FILE = 'output.txt'
export const STATUS_FILE = 'status'
export const KERNEL_LOG_FILE = 'kernel.log'

const MOUNTS = [
  ['tmpfs', '/run'],
  ['tmpfs', '/dev/shm'],
  ['devpts', '/dev/pts'],
  ['cgroup2', '/sys/fs/cgroup'],
  ['bpf', '/sys/fs/bpf'],
  ['tracefs', '/sys/kernel/tracing'],
  ['securityfs', '/sys/kernel/security'],
] as const

/** A script for bash. The machine's own mounts are not there: what lies on its other file systems is. */
export function guestScript({ command, cwd, env, modules, shared, folder }: GuestCommand): string {
  const at = (name: string): string => quoted(join(folder, name))
  const variables = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', ...env }
  return `${Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoted(value)}`)
    .join('\n')}
ln -sfn /proc/self/fd /dev/fd
${MOUNTS.map(([type, path]) => `mkdir -p ${path} && mount -t ${type} ${type} ${path}`).join('\n')}
mount --make-rshared /
mkdir -p /usr/lib/modules && mount --bind ${quoted(join(modules, 'lib/modules'))} /usr/lib/modules
mount -t virtiofs ${RESULTS_TAG} ${quoted(shared)} || echo o > /proc/sysrq-trigger
ip link set lo up
cd ${quoted(cwd)}
${command.map(quoted).join(' ')} < /dev/null > ${at(OUTPUT_FILE)} 2>&1
echo $? > ${at(STATUS_FILE)}
dmesg > ${at(KERNEL_LOG_FILE)}
sync
echo o > /proc/sysrq-trigger
read -r -t 30 < /dev/zero
`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
