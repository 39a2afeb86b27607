/** What is run in guests: each suite is one boot, and some of the project's test files. */

export interface Suite {
  readonly name: string
  /** What it shows, for `--help`. */
  readonly summary: string
  /** For test/run.ts. */
  readonly tests: readonly string[]
  readonly memoryMiB: number
  /** Time in the guest is counted in instructions. */
  readonly countInstructions: boolean
  /** The kernels it runs on; absent: all. */
  readonly kernels?: readonly string[]
}

const kernelTests = (...patterns: readonly string[]): string[] => ['--only', 'kernel', ...patterns]
const guestTests = (...names: readonly string[]): string[] => {
  return ['--only', 'guest', ...names.map(name => `test/vm/guest/${name}.test.ts`)]
}

/** The half of test/bpf that takes longest, for no guest to take much longer than the others. */
const SERVICE_PROGRAMS = ['test/bpf/services', 'test/bpf/socket', 'test/bpf/xdp']

export const SUITES: readonly Suite[] = [
  {
    name: 'verifier',
    summary: 'every object loads with every configuration; instructions and stack against docs/reference/verifier.md',
    tests: guestTests('verifier'),
    memoryMiB: 768,
    countInstructions: false,
  },
  {
    name: 'features',
    summary: 'what the kernel is known to have, found by the probes; netkit, WireGuard, IPsec, Geneve, dummy at work',
    tests: guestTests('features', 'crossings'),
    memoryMiB: 512,
    countInstructions: false,
  },
  {
    name: 'programs',
    summary: 'packets through the programs (test/bpf)',
    tests: [...kernelTests('test/bpf/'), ...SERVICE_PROGRAMS.flatMap(pattern => ['--except', pattern])],
    memoryMiB: 1024,
    countInstructions: false,
  },
  {
    name: 'services',
    summary: 'packets and sockets to services through the programs (test/bpf)',
    tests: kernelTests(...SERVICE_PROGRAMS),
    memoryMiB: 1024,
    countInstructions: false,
  },
  {
    name: 'kernel',
    summary: 'the kernel layer (daemon/kernel)',
    // What takes long and shows nothing of one kernel that it does not show of another stays out.
    tests: [...kernelTests('daemon/kernel/'), '--except', 'stress.kernel', '--except', 'blocking.kernel'],
    memoryMiB: 1024,
    countInstructions: false,
  },
  {
    name: 'lab',
    summary: 'two nodes, native routing and VXLAN, IPv4 and IPv6',
    tests: guestTests('lab'),
    memoryMiB: 1024,
    countInstructions: false,
  },
  {
    name: 'path',
    summary: 'what the way between two pods costs in instructions, against docs/reference/path-cost.md',
    tests: guestTests('path'),
    memoryMiB: 1024,
    countInstructions: true,
    kernels: ['6.12'],
  },
]

/** Those whose name holds one of the patterns, all without any. Throws an Error for people when there are none. */
export function chooseSuites(patterns: readonly string[]): Suite[] {
  if (patterns.length === 0) return [...SUITES]
  const unknown = patterns.find(pattern => !SUITES.some(suite => suite.name.includes(pattern)))
  if (unknown === undefined) return SUITES.filter(suite => patterns.some(pattern => suite.name.includes(pattern)))
  throw new Error(`no suite has '${unknown}' in its name; there are ${SUITES.map(s => s.name).join(', ')}`)
}

export function runsOn(suite: Suite, expression: string): boolean {
  return suite.kernels?.includes(expression) ?? true
}
