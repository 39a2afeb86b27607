/**
 * The profiles that confine the daemon's container. test/node/image.test.ts runs it under that of seccomp; that of AppArmor
 * is compiled as a node would, since not every kernel that tests run on has AppArmor.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { CAPABILITIES } from '../../daemon/capabilities.ts'
import { SOURCES } from '../../deploy/image/debian.ts'
import { HOST_MOUNTS } from '../../deploy/image/mounts.ts'
import { MirrorAway, PrivateApt } from '../../deploy/image/private-apt.ts'
import { ROOT } from '../../deploy/lab/built.ts'
import { runCommand } from '../../deploy/lab/command.ts'

const PROFILES = join(ROOT, 'deploy/image/profiles')
const apparmor = readFileSync(join(PROFILES, 'apparmor'), 'utf8')

/** Where apparmor_parser(8) and its tunables lie, or in words why they cannot be had. */
async function parser(): Promise<{ readonly root: string } | string> {
  const root = join(ROOT, 'build/image/cache/apparmor')
  if (existsSync(root)) return { root }
  const work = `${root}.${process.pid}`
  try {
    const apt = await PrivateApt.open(join(work, 'apt'), SOURCES)
    await apt.unpack(['apparmor'], join(work, 'root'), { dependencies: false })
    renameSync(join(work, 'root'), root)
    return { root }
  } catch (error) {
    if (error instanceof MirrorAway) return error.message
    throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const found = await parser()

suite('the profile of AppArmor', { skip: typeof found === 'string' ? found : false }, () => {
  const compile = async (profile: string) => {
    const { root } = found as { readonly root: string }
    const settings = join(root, 'etc/apparmor.d')
    const features = join(settings, 'abi/3.0')
    const options = ['--skip-kernel-load', '--skip-cache', '--quiet', '--stdout', '--base', settings]
    const against = ['--policy-features', features, '--kernel-features', features]
    return await runCommand([join(root, 'sbin/apparmor_parser'), ...options, ...against], { input: profile })
  }

  test('is compiled for a kernel', async () => {
    const { status, stdout, stderr } = await compile(apparmor)
    assert.equal(status, 0, stderr)
    assert.ok(stdout.length > 1000)
  })

  test('would be refused if it were wrong', async () => {
    const { status, stderr } = await compile(apparmor.replace('capability net_admin', 'capability net_admiral'))
    assert.notEqual(status, 0)
    assert.match(stderr, /net_admiral/)
  })
})

test('AppArmor allows the capabilities of the list and the mounts of the container', () => {
  assert.deepEqual(
    [...apparmor.matchAll(/^ {2}capability (\w+),$/gm)].map(match => match[1]?.toUpperCase()),
    CAPABILITIES.map(c => c.name),
  )
  for (const { hostPath, mountPath = hostPath } of HOST_MOUNTS) {
    const path = mountPath.replace(/^\/run\//, '/{,var/}run/')
    assert.ok(apparmor.includes(`\n  ${path}/`), mountPath)
  }
})

test('seccomp denies by default, and what makes other namespaces than those of networks', () => {
  interface Rule {
    readonly names: readonly string[]
    readonly action: string
    readonly args?: readonly { readonly index: number; readonly value: number; readonly op: string }[]
  }
  const { defaultAction, syscalls } = JSON.parse(readFileSync(join(PROFILES, 'seccomp.json'), 'utf8')) as {
    readonly defaultAction: string
    readonly syscalls: readonly Rule[]
  }
  assert.equal(defaultAction, 'SCMP_ACT_ERRNO')
  const rulesOf = (name: string): readonly Rule[] => syscalls.filter(rule => rule.names.includes(name))
  for (const [name, index] of [
    ['unshare', 0],
    ['setns', 1],
  ] as const)
    assert.deepEqual(
      rulesOf(name).map(rule => rule.args),
      [[{ index, value: 0x40000000, op: 'SCMP_CMP_EQ' }]],
    )
  for (const name of ['mount', 'pivot_root', 'ptrace', 'init_module', 'kexec_load', 'keyctl', 'io_uring_setup'])
    assert.deepEqual(rulesOf(name), [], name)
  const allowed = syscalls.filter(rule => rule.action === 'SCMP_ACT_ALLOW').flatMap(rule => rule.names)
  assert.deepEqual(
    allowed.filter((name, i) => allowed.indexOf(name) !== i && name !== 'socket'),
    [],
  )
})
