/**
 * One guest from power-on to power-off: QEMU's own emulation (no KVM is needed), a stock kernel of Debian, this machine's
 * files. The guest has no network but its own loopback.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withParent } from '../../deploy/lab/command.ts'
import { type GuestCommand, guestScript, STATUS_FILE } from './guest-script.ts'
import { initramfs } from './initramfs.ts'
import type { Kernel } from './kernel-cache.ts'
import { RESULTS_TAG, ROOT_TAG } from './share-tags.ts'
import { ShareServer } from './virtiofsd.ts'

export interface GuestRun extends Omit<GuestCommand, 'modules'> {
  readonly kernel: Kernel
  readonly memoryMiB: number
  readonly limitMs: number
  /** Time in the guest is counted in instructions: what it measures there repeats, and is no real time. */
  readonly countInstructions: boolean
  readonly signal: AbortSignal
}
export interface GuestEnd {
  /** Of the command; undefined when the guest ended without telling it. */
  readonly status: number | undefined
  /** Why there is no status, with the last lines of the console. */
  readonly problem: string
}

export const CONSOLE_FILE = 'console.log'
const TAIL_LINES = 15
const PANIC = 'Kernel panic - not syncing'
/** Without xsave, which is slow to emulate and done at each switch of tasks: a tenth faster than the emulator's largest. */
const CPU = 'Nehalem'
/**
 * One processor runs: with two, Node dies in the emulator now and then. The second may come, so maps for each processor
 * have more than one value.
 */
const PROCESSORS = '1,maxcpus=2'
/** What is left out would take longer than the boot, or end a guest that is merely slow. */
const KERNEL_ARGUMENTS = [
  'console=ttyS0 quiet panic=-1 reboot=t mitigations=off nowatchdog audit=0 cryptomgr.notests',
  'lsm=capability,bpf',
].join(' ')

/** Rejects when the guest cannot be started, or with the signal's reason. */
export async function runGuest(run: GuestRun): Promise<GuestEnd> {
  rmSync(run.folder, { recursive: true, force: true })
  mkdirSync(run.folder, { recursive: true })
  const script = join(run.folder, 'guest.sh')
  writeFileSync(script, guestScript({ ...run, modules: run.kernel.root }))
  const work = mkdtempSync(join(tmpdir(), 'causeway-guest-'))
  try {
    const image = join(work, 'initramfs')
    writeFileSync(image, await initramfs(run.kernel.root, run.kernel.release, script))
    await using root = await ShareServer.start({ tag: ROOT_TAG, folder: '/', changes: 'none' }, join(work, 'root'))
    const results = { tag: RESULTS_TAG, folder: run.shared, changes: 'host' } as const
    await using shared = await ShareServer.start(results, join(work, 'results'))
    return await powerOn(run, image, [root, shared])
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function powerOn(run: GuestRun, image: string, shares: readonly ShareServer[]): Promise<GuestEnd> {
  run.signal.throwIfAborted()
  const [file = '', ...args] = withParent(['qemu-system-x86_64', ...qemuOptions(run, image, shares)])
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const time = AbortSignal.timeout(run.limitMs)
  await exitOf(child, AbortSignal.any([time, run.signal]))
  run.signal.throwIfAborted()
  if (time.aborted) return told(run, `it did not end within ${run.limitMs / 1000} s`)
  if (child.exitCode !== 0) return told(run, `QEMU ended with ${child.signalCode ?? child.exitCode}: ${errors.trim()}`)
  return told(run, 'it ended without a word')
}

/** Waits for the end, which the signal brings about. */
async function exitOf(child: ChildProcess, stop: AbortSignal): Promise<void> {
  const kill = (): boolean => child.kill('SIGKILL')
  const end = once(child, 'exit')
  stop.addEventListener('abort', kill)
  if (stop.aborted) kill()
  try {
    await end
  } finally {
    stop.removeEventListener('abort', kill)
  }
}

function qemuOptions(run: GuestRun, image: string, shares: readonly ShareServer[]): string[] {
  const memory = `${run.memoryMiB}M`
  const options: readonly (readonly string[])[] = [
    ...(run.countInstructions
      ? [
          ['-accel', 'tcg,thread=single'],
          ['-icount', 'shift=3,sleep=off'],
          ['-smp', '1'],
        ]
      : [
          ['-accel', 'tcg,thread=multi'],
          ['-smp', PROCESSORS],
        ]),
    ['-cpu', CPU],
    ['-M', 'q35,memory-backend=memory'],
    ['-m', memory],
    ['-object', `memory-backend-memfd,id=memory,size=${memory},share=on`],
    ['-nic', 'none'],
    ['-display', 'none'],
    ['-monitor', 'none'],
    ['-no-reboot'],
    ['-serial', `file:${join(run.folder, CONSOLE_FILE)}`],
    ...shares.flatMap(({ tag, socket }) => [
      ['-chardev', `socket,id=${tag},path=${socket}`],
      ['-device', `vhost-user-fs-pci,chardev=${tag},tag=${tag}`],
    ]),
    ['-kernel', run.kernel.vmlinux],
    ['-initrd', image],
    ['-append', KERNEL_ARGUMENTS],
  ]
  return options.flat()
}

/** The status if the guest wrote one; it counts for nothing when the guest had to be ended. */
function told(run: GuestRun, otherwise: string): GuestEnd {
  const console = textOf(join(run.folder, CONSOLE_FILE))
  const status = /^\d+$/.exec(textOf(join(run.folder, STATUS_FILE)).trim())?.[0]
  if (status !== undefined) return { status: Number(status), problem: '' }
  const lines = console.replaceAll('\r', '').trimEnd().split('\n')
  const panic = lines.findIndex(line => line.includes(PANIC))
  if (panic < 0) return ended(otherwise, 'the end of its console:', lines.slice(-TAIL_LINES))
  const words = lines[panic]?.slice(lines[panic].indexOf(PANIC)) ?? PANIC
  return ended(words, 'its console from there on:', lines.slice(panic, panic + TAIL_LINES))
}

function ended(how: string, what: string, lines: readonly string[]): GuestEnd {
  return { status: undefined, problem: [how, what, ...lines].join('\n  ') }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
