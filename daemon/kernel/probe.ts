/**
 * What this kernel can do, found out by trying: link kinds are created in a namespace made for it, attributes are set
 * and read back, programs are loaded. Version numbers decide nothing; distributions move features between kernels.
 */
import { closeSync } from 'node:fs'
import { loadInstructions, probeDeviceHook, probeMap, probeProgram } from './bpf/program.ts'
import { SystemError } from './errors.ts'
import type { Feature, FeatureName, LinkSizes, NetRequest } from './kernel.ts'
import { IFLA, IFLA_INFO, NETLINK, RTM } from './netlink/constants.ts'
import { createFlags, linkHeader } from './netlink/link.ts'
import { BodyWriter } from './netlink/message.ts'
import { NetlinkNet } from './netlink/net.ts'
import { NetlinkError } from './netlink/netlink-error.ts'
import { NetlinkSocket } from './netlink/socket.ts'
import { openNewNetns } from './netns/create.ts'
import { probeKprobe, probeTrampoline } from './probe-tracing.ts'
import { errnoName } from './sys.ts'

/** Tries each feature when it is first asked for and remembers the answer, unless that was that it is not known. */
export class FeatureProbes {
  readonly #found = new Map<FeatureName, Feature>()

  feature(name: FeatureName): Feature {
    const known = this.#found.get(name)
    if (known) return known
    const feature = probe(name)
    if (feature.state !== 'unknown') this.#found.set(name, feature)
    return feature
  }
}

interface Probe {
  /** What has the feature, for people. */
  readonly needs: string
  readonly attempt: () => Feature
}

const PRESENT: Feature = { state: 'present' }

function probe(name: FeatureName): Feature {
  const { needs, attempt } = PROBES[name]
  try {
    const feature = attempt()
    return feature.state === 'absent' ? { state: 'absent', reason: `${feature.reason}; it needs ${needs}` } : feature
  } catch (error) {
    return { state: 'unknown', error: error instanceof Error ? error.message : String(error) }
  }
}

const PROBES: Readonly<Record<FeatureName, Probe>> = {
  veth: linkKind('veth', 'CONFIG_VETH'),
  bridge: linkKind('bridge', 'CONFIG_BRIDGE'),
  dummy: linkKind('dummy', 'CONFIG_DUMMY'),
  wireguard: linkKind('wireguard', 'Linux 5.6 with CONFIG_WIREGUARD'),
  netkit: linkKind('netkit', 'Linux 6.7 with CONFIG_NETKIT'),
  // Both insist on a tunnel key or on taking it from each packet (IFLA_VXLAN_, IFLA_GENEVE_COLLECT_METADATA).
  vxlan: linkKind('vxlan', 'CONFIG_VXLAN', data => data.attributeU8(25, 1)),
  geneve: linkKind('geneve', 'CONFIG_GENEVE', data => data.attribute(6, new Uint8Array())),
  'shared-block': {
    needs: 'CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF',
    attempt: () => withProgram(programFd => tryRequests([...veth(), ...sharedBlock(programFd)])),
  },
  'big-tcp-ipv6': { needs: 'Linux 5.19', attempt: () => trySizes({ gsoMaxSize: 131_072, groMaxSize: 131_072 }) },
  'big-tcp-ipv4': { needs: 'Linux 6.3', attempt: () => trySizes({ gsoIpv4MaxSize: 131_072, groIpv4MaxSize: 131_072 }) },
  tcx: { needs: 'Linux 6.6', attempt: () => withProgram(() => probeDeviceHook('tcx-ingress')) },
  xdp: { needs: 'CONFIG_BPF_SYSCALL', attempt: () => withProgram(() => probeProgram('xdp')) },
  'cgroup-sock-addr': {
    needs: 'CONFIG_CGROUP_BPF',
    // 1 lets the call go on; other values are not allowed.
    attempt: () => withProgram(() => probeProgram('cgroup-sock-addr', 'connect4', program(moveTo(0, 1)))),
  },
  'redirect-peer': {
    needs: 'Linux 5.10',
    attempt: () =>
      withProgram(() => probeProgram('sched-cls', undefined, program(moveTo(1, 1), moveTo(2, 0), call(155)))),
  },
  'ring-buffer': {
    needs: 'Linux 5.8',
    attempt: () =>
      withProgram(() => probeMap({ type: 'ring-buffer', name: 'probe', keySize: 0, valueSize: 0, maxEntries: 65_536 })),
  },
  trampoline: {
    needs: 'Linux 5.5 (arm64: 6.4) with BTF and nothing that forbids it',
    attempt: () => withProgram(probeTrampoline),
  },
  kprobe: { needs: 'CONFIG_KPROBE_EVENTS', attempt: probeKprobe },
}

/** Tries to create a link of a kind, which makes the kernel load its module. */
function linkKind(kind: string, needs: string, data: (writer: BodyWriter) => void = () => {}): Probe {
  const attempt = (): Feature => {
    const body = linkHeader(new BodyWriter()).attributeText(IFLA.IFNAME, 'probe')
    body.nest(IFLA.LINKINFO, info => info.attributeText(IFLA_INFO.KIND, kind).nest(IFLA_INFO.DATA, data))
    const message = { type: RTM.NEWLINK, flags: createFlags(false), body: body.finish() }
    using netns = openNewNetns()
    using socket = new NetlinkSocket(NETLINK.ROUTE, netns.fd)
    const { errno = 0, kernelText = '' } = socket.transact([message])[0] ?? {}
    if (errno === 0) return PRESENT
    const name = errnoName(errno)
    if (name === 'EOPNOTSUPP') return { state: 'absent', reason: `link kind ${kind}: ${kernelText || name}` }
    return { state: 'unknown', error: `create a link of kind ${kind}: ${name} ${kernelText}`.trimEnd() }
  }
  return { needs, attempt }
}

function veth(sizes: LinkSizes = {}): NetRequest[] {
  return [{ op: 'link-add', link: { kind: 'veth', name: 'probe', ...sizes, peer: { name: 'peer' } } }]
}

function sharedBlock(programFd: number): NetRequest[] {
  return [
    { op: 'clsact-add', link: 'probe', ingressBlock: 1 },
    { op: 'filter-replace', at: { block: 1 }, priority: 1, programFd, name: 'probe' },
  ]
}

/** Sizes a kernel does not know are refused, or ignored and then not there. */
function trySizes(sizes: LinkSizes): Feature {
  using netns = openNewNetns()
  using net = new NetlinkNet(netns.path)
  const refused = refusal(net, veth(sizes))
  if (refused) return refused
  const link = net.link('probe')
  const wanted = Object.entries(sizes) as [keyof LinkSizes, number][]
  const ignored = wanted.filter(([name, bytes]) => link?.[name] !== bytes).map(([name]) => name)
  return ignored.length === 0 ? PRESENT : { state: 'absent', reason: `the kernel ignores ${ignored.join(' and ')}` }
}

function tryRequests(requests: readonly NetRequest[]): Feature {
  using netns = openNewNetns()
  using net = new NetlinkNet(netns.path)
  return refusal(net, requests) ?? PRESENT
}

/** What the refusal of well-formed requests means; undefined when they were carried out. */
function refusal(net: NetlinkNet, requests: readonly NetRequest[]): Feature | undefined {
  try {
    net.run(requests)
    return undefined
  } catch (error) {
    // ENOENT: no such qdisc or classifier; EINVAL: a value beyond what the kernel knows.
    const lacking = error instanceof NetlinkError && ['EOPNOTSUPP', 'ENOENT', 'EINVAL'].includes(error.code)
    if (!lacking) throw error
    return { state: 'absent', reason: error.message }
  }
}

/** A process that may load nothing learns nothing: its EPERM would look like a missing feature. */
function withProgram(attempt: (programFd: number) => Feature): Feature {
  let programFd: number
  try {
    programFd = loadInstructions('sched-cls', undefined)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return { state: 'unknown', error: `this process cannot load eBPF programs: ${error.message}` }
  }
  try {
    return attempt(programFd)
  } finally {
    closeSync(programFd)
  }
}

/** eBPF instructions (Documentation/bpf/standardization/instruction-set.rst): register = value. */
function moveTo(register: number, value: number): bigint {
  return (BigInt(value) << 32n) | (BigInt(register) << 8n) | 0xb7n
}
/** Calls a helper by its number in enum bpf_func_id. */
function call(helper: number): bigint {
  return (BigInt(helper) << 32n) | 0x85n
}
function program(...instructions: readonly bigint[]): BigUint64Array {
  return BigUint64Array.from([...instructions, 0x95n])
}
