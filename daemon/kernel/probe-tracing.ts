/** Probes of the two ways to hang a program on a kernel function: BPF trampolines (fentry, LSM) and kprobes. */
import { closeSync, existsSync, readFileSync } from 'node:fs'
import { bpfRaw } from './bpf/syscall.ts'
import type { Feature } from './kernel.ts'
import { errnoName, lastErrno, libcFunction, Memory } from './sys.ts'

/** A function made to be traced (net/bpf/test_run.c); nobody calls it but BPF_PROG_TEST_RUN. */
const TRACED = 'bpf_fentry_test1'
const VMLINUX_BTF = '/sys/kernel/btf/vmlinux'
const KPROBE_TYPE = '/sys/bus/event_source/devices/kprobe/type'

const PROG_LOAD = 5
const RAW_TRACEPOINT_OPEN = 17
const PROG_TYPE_TRACING = 26
const TRACE_FENTRY = 24

/** Loads an fentry program and attaches it, which is when the trampoline is made. */
export function probeTrampoline(): Feature {
  if (!existsSync(VMLINUX_BTF)) return { state: 'absent', reason: 'the kernel has no BTF' }
  const target = functionId(readFileSync(VMLINUX_BTF), TRACED)
  if (target === undefined) return { state: 'unknown', error: `the kernel has no function ${TRACED} to try it on` }
  const programFd = loadFentry(target)
  if (programFd < 0) return refused('load an fentry program', -programFd)
  try {
    using attr = new Memory(16)
    attr.view.setUint32(8, programFd, true)
    const linkFd = bpfRaw(RAW_TRACEPOINT_OPEN, attr, 16)
    if (linkFd < 0) return refused('attach an fentry program', -linkFd)
    closeSync(linkFd)
    return { state: 'present' }
  } finally {
    closeSync(programFd)
  }
}

function refused(attempt: string, errno: number): Feature {
  // ENOTSUPP (524) has no name outside the kernel.
  const name = errno === 524 ? 'ENOTSUPP' : errnoName(errno)
  const lacking = ['EPERM', 'EINVAL', 'ENOTSUPP', 'EOPNOTSUPP'].includes(name)
  return lacking
    ? { state: 'absent', reason: `${attempt}: the kernel answers ${name}` }
    : { state: 'unknown', error: `${attempt}: ${name}` }
}

/** `r0 = 0; exit` as fentry program of a function: its descriptor, or the negative errno. */
function loadFentry(target: number): number {
  using code = new Memory(16)
  code.view.setBigUint64(0, 0xb7n, true)
  code.view.setBigUint64(8, 0x95n, true)
  using licence = new Memory(4)
  licence.bytes.set(new TextEncoder().encode('GPL'))
  using attr = new Memory(120)
  attr.view.setUint32(0, PROG_TYPE_TRACING, true)
  attr.view.setUint32(4, 2, true)
  attr.view.setBigUint64(8, code.address, true)
  attr.view.setBigUint64(16, licence.address, true)
  attr.view.setUint32(68, TRACE_FENTRY, true)
  attr.view.setUint32(108, target, true)
  return bpfRaw(PROG_LOAD, attr, 120)
}

/** Bytes after the 12 of struct btf_type by kind: a fixed part, or one for each member (Documentation/bpf/btf.rst). */
const BTF_FIXED: Readonly<Record<number, number>> = { 1: 4, 3: 12, 14: 4, 17: 4 }
const BTF_PER_MEMBER: Readonly<Record<number, number>> = { 4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12 }
const BTF_FUNC = 12

/** Type id of a function. The whole of a kernel's BTF would be a quarter of a million objects; here none is made. */
function functionId(btf: Buffer, name: string): number | undefined {
  const header = btf.readUInt32LE(4)
  const types = header + btf.readUInt32LE(8)
  const end = types + btf.readUInt32LE(12)
  const strings = header + btf.readUInt32LE(16)
  const wanted = Buffer.from(`${name}\0`)
  for (let at = types, id = 1; at < end; id++) {
    const info = btf.readUInt32LE(at + 4)
    const kind = (info >>> 24) & 0x1f
    const nameAt = strings + btf.readUInt32LE(at)
    if (kind === BTF_FUNC && btf.compare(wanted, 0, wanted.length, nameAt, nameAt + wanted.length) === 0) return id
    at += 12 + (BTF_FIXED[kind] ?? (BTF_PER_MEMBER[kind] ?? 0) * (info & 0xffff))
  }
  return undefined
}

const cSyscall = libcFunction(
  'long syscall(long number, void *attr, long pid, long cpu, long group, unsigned long flags)',
)
const PERF_EVENT_OPEN: Readonly<Record<string, number>> = { x64: 298, arm64: 241 }
const PERF_ATTR_SIZE_VER5 = 112
const PERF_FLAG_FD_CLOEXEC = 8

/** Opens a kprobe event on a function, without a program. */
export function probeKprobe(): Feature {
  if (!existsSync(KPROBE_TYPE)) return { state: 'absent', reason: 'the kernel has no kprobe events' }
  using name = new Memory(TRACED.length + 1)
  name.bytes.set(new TextEncoder().encode(TRACED))
  using attr = new Memory(PERF_ATTR_SIZE_VER5)
  attr.view.setUint32(0, Number(readFileSync(KPROBE_TYPE, 'utf8')), true)
  attr.view.setUint32(4, PERF_ATTR_SIZE_VER5, true)
  // config1: kprobe_func.
  attr.view.setBigUint64(56, name.address, true)
  const number = PERF_EVENT_OPEN[process.arch]
  if (number === undefined) return { state: 'unknown', error: `perf_event_open on ${process.arch}` }
  const fd = Number(cSyscall()(number, attr.pointer, -1, 0, -1, PERF_FLAG_FD_CLOEXEC))
  if (fd < 0) return { state: 'unknown', error: `open a kprobe event on ${TRACED}: ${errnoName(lastErrno())}` }
  closeSync(fd)
  return { state: 'present' }
}
