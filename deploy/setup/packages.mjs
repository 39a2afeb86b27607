/** Debian packages: which are missing, and installing them with progress, without touching what the machine has. */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, openSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { SetupError } from './setup-error.mjs'

/** To compile and to run the daemon and the lab. */
export const BUILD_PACKAGES = [
  'clang-19', // eBPF objects
  'libbpf-dev', // bpf_helpers.h
  'libbpf1', // loads them
  'libmujs-dev', // the JavaScript engine inside the CNI executable
  'gcc',
  'libc6-dev',
  'linux-libc-dev',
  'iproute2',
  'openssl', // certificates of the lab's API server
  'util-linux', // flock, nsenter, mount
]

/** For tests, benches and checks besides. */
export const TEST_PACKAGES = [
  'clang-format-19',
  'containerd',
  'containernetworking-plugins',
  'iptables',
  'nftables',
  'openssl', // certificates
  'prometheus', // and promtool: queries of the dashboard, alerts
  'runc',
]

/** For kubectl and helm besides. */
export const KUBERNETES_PACKAGES = ['busybox-static'] // unpacks them

/** For guests besides; `version` is Debian's, such as '12'. */
export function vmPackages(version) {
  return [
    'qemu-system-x86', // on Debian 12 it brings virtiofsd
    ...(version === '12' ? [] : ['virtiofsd']),
    'busybox-static',
    'kmod', // depmod, modprobe
    'lz4', // kernels
    'wireguard-tools',
    'xz-utils', // modules
  ]
}

/** Packages of which only a program is used, which another package may have brought: Docker's containerd.io has both. */
const PROGRAMS = { containerd: 'containerd', runc: 'runc' }

/** Those of `names` that are not installed, in the same order. */
export function missingPackages(names) {
  const result = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names], {
    encoding: 'utf8',
  })
  if (result.error) throw new SetupError('dpkg-query does not start', 'use Debian 12 or 13')
  const installed = new Set(
    result.stdout
      .split('\n')
      .filter(line => line.endsWith(' installed'))
      .map(line => line.split(' ')[0]),
  )
  return names.filter(name => !installed.has(name) && !(PROGRAMS[name] && isInPath(PROGRAMS[name])))
}

function isInPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * Installs packages by name; apt's own output goes to apt.log in `logFolder`. Rather than remove a
 * package that the machine has it fails and says so.
 */
export async function installPackages(names, logFolder) {
  mkdirSync(logFolder, { recursive: true })
  const log = join(logFolder, 'apt.log')
  process.stderr.write(`set-up: installing Debian packages ${names.join(', ')}\n`)
  await aptGet(['update', '-q'], log)
  const conflicts = packagesInTheWay(names)
  if (conflicts.length > 0)
    throw new SetupError(
      `installing ${names.join(', ')} would remove ${conflicts.join(', ')}`,
      'remove them yourself, or use another machine',
    )
  const options = ['-q', '-y', '--no-install-recommends', '--no-remove', '-o', 'APT::Status-Fd=3']
  await aptGet(['install', ...options, ...names], log)
  const still = missingPackages(names)
  if (still.length > 0) throw new SetupError(`packages ${still.join(', ')} are still missing`, `see ${log}`)
  return `installed ${names.length} Debian packages`
}

/** What apt would remove, by a simulation of it. */
function packagesInTheWay(names) {
  const args = ['install', '--simulate', '-q', '--no-install-recommends', ...names]
  const { stdout } = spawnSync('apt-get', args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  return [...(stdout ?? '').matchAll(/^Remv (\S+)/gm)].map(match => match[1])
}

async function aptGet(args, log) {
  const out = openSync(log, 'a')
  const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
    stdio: ['ignore', out, out, 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
  })
  showProgress(child.stdio[3])
  const status = await new Promise(done => {
    child.on('error', () => done(127))
    child.on('close', done)
  })
  if (status !== 0)
    throw new SetupError(`apt-get ${args[0]} failed (status ${status})`, `see ${log}, mend it and run this again`)
}

/** Lines are `dlstatus:…:percent:text` and `pmstatus:package:percent:text`; one in five seconds is shown. */
function showProgress(stream) {
  let shown = performance.now()
  createInterface({ input: stream }).on('line', line => {
    const [kind, , percent, text] = line.split(':')
    if (performance.now() - shown < 5000 || percent === undefined) return
    shown = performance.now()
    process.stderr.write(`set-up: ${kind === 'dlstatus' ? 'download' : 'install'} ${parseInt(percent)} % ${text}\n`)
  })
}
