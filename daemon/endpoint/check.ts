/** CHECK: compares what ADD answered with what exists. Reads only; all differences are named, the first decides the code. */
import { canonicalAddress } from '../kernel/ip.ts'
import type { Address, LinkInfo, Net } from '../kernel/kernel.ts'
import { type Attachment, defaultRoute, GATEWAY, hostPrefix } from './attachment.ts'
import type { EndpointContext } from './context.ts'
import { AttachmentDiffers, AttachmentError, type Difference, type DifferenceKind, endOfWait } from './errors.ts'
import { type AttachmentId, attachmentKey } from './key.ts'
import { planRepair } from './plan-repair.ts'

export interface CheckRequest extends AttachmentId {
  readonly netns: string
  /** What the runtime got from the last ADD of the list, in any version's form; unchecked. */
  readonly prevResult?: unknown
}

/** What of a previous result concerns our interface. */
export interface Expectation {
  readonly mac?: string
  readonly mtu?: number
  /** Without prefix lengths. */
  readonly addresses: readonly Address[]
}

/**
 * Resolves when all is as it should be. Throws `AttachmentDiffers` for a real difference, another `AttachmentError` for
 * a state of the daemon that passes.
 */
export async function checkAttachment(ctx: EndpointContext, request: CheckRequest, signal: AbortSignal): Promise<void> {
  const key = attachmentKey(request)
  await ctx.locks.run(key, signal, async () => {
    const attachment = ctx.held.get(key)?.attachment
    if (!attachment) throw new AttachmentDiffers(key, [{ what: 'attachment', message: 'this node knows no such pod' }])
    await upToDate(ctx, key, signal)
    const expected = expectationOf(request.prevResult, request.ifName)
    if (expected === 'another') {
      const message = `prevResult has no interface ${request.ifName} in a sandbox`
      throw new AttachmentDiffers(key, [{ what: 'prev-result', message }])
    }
    const differences = [
      ...againstResult(attachment, expected),
      ...hostSide(ctx, attachment),
      ...podSide(ctx, attachment, request.netns, expected),
    ]
    if (differences.length > 0) throw new AttachmentDiffers(key, differences)
  })
}

/** Right after ADD nothing is under way any more; a datapath that lags is the daemon's trouble, not the pod's. */
async function upToDate(ctx: EndpointContext, key: string, signal: AbortSignal): Promise<void> {
  if (!ctx.tables.endpoints.get(key)) throw new AttachmentError('NOT_SETTLED', `${key} is being taken up again`)
  try {
    await ctx.settled(key, ctx.tables.endpoints.revision, signal)
  } catch (error) {
    if (signal.aborted) throw endOfWait(`the datapath to take ${key}`, signal.reason)
    throw new AttachmentError('NOT_SETTLED', `the datapath lags behind for ${key}`, { cause: error })
  }
}

function difference(what: DifferenceKind, message: string): Difference {
  return { what, message }
}

function againstResult(attachment: Attachment, expected: Expectation | undefined): Difference[] {
  const ours = attachment.leases.map(lease => lease.address)
  const missing = expected ? ours.filter(a => !expected.addresses.includes(a)) : []
  return missing.map(a => difference('prev-result', `prevResult lacks the address ${a} that the pod holds`))
}

function hostSide(ctx: EndpointContext, attachment: Attachment): Difference[] {
  const { net } = ctx.kernel
  const { name, index, mac } = attachment.device
  const link = net.link(index)
  if (!link) return [difference('host-side', `device ${name} is gone`)]
  const have = { links: [link], routes: net.routes(), neighbours: net.neighbours(), qdiscs: net.qdiscs() }
  const kinds = { link: 'host-side', block: 'block', route: 'host-side' } as const
  const texts = { link: 'is down', block: 'is not bound to the filter blocks', route: 'lacks its routes or neighbours' }
  const repairs = planRepair([attachment], have, ctx.blocks())
  const lost = attachment.leases.filter(lease => !ctx.leases.serves(lease.pool))
  return [
    ...(link.mac === mac ? [] : [difference('host-side', `device ${name} has MAC ${link.mac}, not ${mac}`)]),
    ...repairs.map(({ what }) => difference(kinds[what], `device ${name} ${texts[what]}`)),
    ...lost.map(lease => difference('lease', `no pool ${lease.pool} is configured for ${lease.address}`)),
    ...(ctx.inDatapath(attachment) ? [] : [difference('map', 'the datapath has no entry for the pod')]),
  ]
}

function podSide(
  ctx: EndpointContext,
  attachment: Attachment,
  path: string,
  expected: Expectation | undefined,
): Difference[] {
  const now = ctx.kernel.netnsId(path)
  const { dev, ino } = attachment.netns
  if (!now) return [difference('namespace', `${path} is no network namespace`)]
  // Of a pod that was taken up without a journal the namespace may not be known; that it holds the peer is told below.
  if (ino !== 0 && (now.dev !== dev || now.ino !== ino))
    return [difference('namespace', `${path} is not the namespace of ADD`)]
  using pod = ctx.kernel.openNet(path)
  const link = pod.link(attachment.interface.name)
  if (!link) return [difference('interface', `${attachment.interface.name} is gone`)]
  return [...interfaceOf(ctx, attachment, link, expected), ...addressing(pod, attachment, link)]
}

/**
 * A chained plugin may have changed the MTU; then its result says so, until the MTU plan has changed since. The MAC is
 * held to what the datapath admits.
 */
function interfaceOf(
  ctx: EndpointContext,
  attachment: Attachment,
  link: LinkInfo,
  expected: Expectation | undefined,
): Difference[] {
  const { name, mac } = attachment.interface
  const mtu = attachment.replanned ? attachment.interface.mtu : (expected?.mtu ?? attachment.interface.mtu)
  const peer = ctx.kernel.net.link(attachment.device.index)?.peerIndex
  const wrong: (string | false)[] = [
    peer !== undefined && peer !== link.index && `${name} is not the other end of ${attachment.device.name}`,
    !link.up && `${name} is down`,
    link.mac !== mac && `${name} has MAC ${link.mac}, not ${mac}`,
    expected?.mac !== undefined && expected.mac !== mac && `prevResult says MAC ${expected.mac}, not ${mac}`,
    link.mtu !== mtu && `${name} has MTU ${link.mtu}, not ${mtu}`,
  ]
  return wrong.filter(text => text !== false).map(text => difference('interface', text))
}

function addressing(pod: Net, attachment: Attachment, link: LinkInfo): Difference[] {
  const addresses = new Set(
    pod.addresses().flatMap(a => (a.link === link.index ? [`${a.address}/${a.prefixLength}`] : [])),
  )
  const routes = pod.routes().filter(route => route.link === link.index)
  return attachment.leases.flatMap(lease => {
    const dst = defaultRoute(lease.family)
    const via = GATEWAY[lease.family]
    const routed = routes.some(route => route.dst === dst && route.via === via)
    const prefix = hostPrefix(lease)
    return [
      ...(addresses.has(prefix) ? [] : [difference('address', `${link.name} lacks the address ${prefix}`)]),
      ...(routed ? [] : [difference('route', `${link.name} lacks the route ${dst} via ${via}`)]),
    ]
  })
}

/**
 * What a previous result says about our interface: nothing when there is no result, `another` when it has no such
 * interface in a sandbox and so is not of this attachment. Members of the wrong type count as absent: the executable has
 * refused malformed input.
 */
export function expectationOf(prevResult: unknown, ifName: string): Expectation | 'another' | undefined {
  if (prevResult === undefined) return undefined
  const interfaces = list(member(prevResult, 'interfaces'))
  const index = interfaces.findIndex(i => member(i, 'name') === ifName && (member(i, 'sandbox') ?? '') !== '')
  if (index < 0) return 'another'
  const mac = member(interfaces[index], 'mac')
  const mtu = member(interfaces[index], 'mtu')
  const ips = list(member(prevResult, 'ips')).filter(ip => member(ip, 'interface') === index)
  const addresses = ips.flatMap(ip => {
    const address = member(ip, 'address')
    return typeof address === 'string' ? [canonical(address)] : []
  })
  return {
    addresses,
    ...(typeof mac === 'string' && mac !== '' ? { mac: mac.toLowerCase() } : {}),
    ...(typeof mtu === 'number' && mtu !== 0 ? { mtu } : {}),
  }
}

/** Without its length; what is no address is nobody's. */
function canonical(address: string): Address {
  const [bare = ''] = address.split('/')
  try {
    return canonicalAddress(bare)
  } catch {
    return bare
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
