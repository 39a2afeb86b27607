/**
 * ADD: gives a pod its interface. The steps are in steps.ts; whatever fails, all that was done is taken back by the one
 * way everything is taken back, `removeAll`.
 */
import { isDeepStrictEqual } from 'node:util'
import { abortable } from '../abort.ts'
import { messageOf } from '../errors.ts'
import { canonicalAddress, familyOf } from '../kernel/ip.ts'
import type { Address, LinkInfo, NetnsId } from '../kernel/kernel.ts'
import type { PodRef } from '../plugin.ts'
import { type Attachment, type CniResult, resultOf, rowOf } from './attachment.ts'
import type { EndpointContext, Held } from './context.ts'
import { removeAll } from './delete.ts'
import { AttachmentError, codeOf, endOfWait, kernelError } from './errors.ts'
import { type AttachmentId, attachmentKey, deviceName, hostMac, MAX_KEY_BYTES, podMac } from './key.ts'
import type { PortMapping } from '../state/service-rows.ts'
import { Progress } from './metrics.ts'
import { podSizes } from './remtu.ts'
import { enableIpv6, hostRequests, loosenReversePath, pairRequest, podRequests, type Wiring } from './wiring.ts'

export interface AddRequest extends AttachmentId {
  /** nsfs path of the pod's namespace. */
  readonly netns: string
  readonly pod: PodRef
  /** Particular addresses (`runtimeConfig.ips`), with or without a prefix length; at most one of each family. */
  readonly ips: readonly string[]
  /** The pod's MAC (`runtimeConfig.mac`); derived from the key when absent. */
  readonly mac?: string
  /** Ports of the node that lead to the pod (`runtimeConfig.portMappings`). */
  readonly portMappings?: readonly PortMapping[]
}

/**
 * The same request for a key that already has what it asks for is given the same answer again. The signal is the
 * deadline and the caller's going away: then everything is undone and its reason thrown.
 */
export async function addAttachment(
  ctx: EndpointContext,
  request: AddRequest,
  signal: AbortSignal,
): Promise<CniResult> {
  const key = attachmentKey(request)
  const netns = validate(ctx, request, key)
  const progress = new Progress(ctx.metrics.step, ctx.fault)
  return ctx.locks.runInterruptible(key, signal, async own => {
    progress.passed('add.begin')
    const known = ctx.held.get(key)?.attachment
    if (known && isHealthy(ctx, known, request, netns)) return resultOf(known)
    await removeAll(ctx, key)
    progress.passed('add.clean')
    return resultOf(await make(ctx, request, netns, progress, own))
  })
}

/** One try: complete at its end, or nothing of it is left. */
async function make(
  ctx: EndpointContext,
  request: AddRequest,
  netns: NetnsId,
  progress: Progress,
  signal: AbortSignal,
): Promise<Attachment> {
  const held: Held = { key: attachmentKey(request), leases: [] }
  ctx.held.set(held.key, held)
  await using undo = new AsyncDisposableStack()
  undo.defer(() => takeBack(ctx, held.key))
  await lease(ctx, request, held, signal)
  progress.passed('add.address')
  const wiring = plan(ctx, request, held)
  const device = makeHostSide(ctx, wiring)
  progress.passed('add.device')
  makePodSide(ctx, wiring, device.peerIndex)
  progress.passed('add.pod')
  const attachment = attachmentOf(ctx, request, netns, wiring, device)
  const revision = ctx.tables.endpoints.put(rowOf(attachment))
  progress.passed('add.row')
  await settle(ctx, held.key, revision, signal)
  progress.passed('add.settled')
  if (signal.aborted) throw endOfWait('the datapath', signal.reason)
  await abortable(ctx.journal.add(attachment), signal).catch(error => {
    throw signal.aborted ? endOfWait('the journal', signal.reason) : error
  })
  progress.passed('add.journal')
  requireDevice(ctx, attachment)
  // From here on a link event finds the attachment, hence no await between the look above and this.
  held.attachment = attachment
  undo.move()
  return attachment
}

/** A failed undo keeps what is left held, so that no address of it is given away; reconciliation tries again. */
async function takeBack(ctx: EndpointContext, key: string): Promise<void> {
  try {
    await removeAll(ctx, key)
  } catch (error) {
    ctx.log.error({ key, error }, 'a failed ADD could not be undone; it will be tried again')
  }
}

function validate(ctx: EndpointContext, request: AddRequest, key: string): NetnsId {
  const refuse = (problem: string): AttachmentError => new AttachmentError('BAD_REQUEST', problem)
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    throw refuse(`name and CNI_CONTAINERID are longer than ${MAX_KEY_BYTES} bytes`)
  const families = wishesOf(request).map(familyOf)
  if (new Set(families).size < families.length) throw refuse('runtimeConfig.ips: more than one address of a family')
  const foreign = families.find(family => !ctx.families.includes(family))
  if (foreign !== undefined) throw refuse(`runtimeConfig.ips: IPv${foreign} is not configured`)
  const netns = ctx.kernel.netnsId(request.netns)
  if (!netns) throw new AttachmentError('BAD_NETNS', `CNI_NETNS ${request.netns} is no network namespace`)
  if (ctx.ownNetns?.dev === netns.dev && ctx.ownNetns.ino === netns.ino) {
    throw new AttachmentError('BAD_NETNS', `CNI_NETNS ${request.netns} is the node's own network namespace`)
  }
  return netns
}

/** The wished addresses in canonical form, without prefix lengths. */
function wishesOf(request: AddRequest): Address[] {
  return request.ips.map(ip => {
    try {
      return canonicalAddress(ip.split('/')[0] ?? ip)
    } catch (error) {
      throw new AttachmentError('BAD_REQUEST', `runtimeConfig.ips: ${JSON.stringify(ip)} is no address`, {
        cause: error,
      })
    }
  })
}

/** Whether what the key has is what is asked for, and stands. */
function isHealthy(ctx: EndpointContext, known: Attachment, request: AddRequest, netns: NetnsId): boolean {
  const addresses = known.leases.map(held => held.address)
  const sameWish =
    wishesOf(request).every(ip => addresses.includes(ip)) &&
    (request.mac === undefined || request.mac.toLowerCase() === known.interface.mac) &&
    isDeepStrictEqual(request.portMappings ?? [], known.portMappings ?? [])
  if (!sameWish || known.netns.dev !== netns.dev || known.netns.ino !== netns.ino) return false
  if (!ctx.tables.endpoints.get(known.key)) return false
  const host = ctx.kernel.net.link(known.device.index)
  if (!host?.up || host.name !== known.device.name) return false
  using pod = ctx.kernel.openNet(request.netns)
  const inner = pod.link(known.interface.name)
  return inner?.index === host.peerIndex && inner.up
}

async function lease(ctx: EndpointContext, request: AddRequest, held: Held, signal: AbortSignal): Promise<void> {
  const wishes = wishesOf(request)
  for (const family of ctx.families) {
    const wish = wishes.find(address => familyOf(address) === family)
    const asked = { owner: held.key, pod: request.pod, family, ...(wish !== undefined && { address: wish }) }
    const leased = await ctx.leases.allocate(asked, signal).catch((error: unknown) => {
      throw codeOf(error) === 'ADDRESS_NOT_IN_POOL' ? wrongWish(error) : error
    })
    held.leases = [...held.leases, leased]
  }
}

function wrongWish(cause: unknown): AttachmentError {
  return new AttachmentError('BAD_REQUEST', `runtimeConfig.ips: ${messageOf(cause)}`, { cause })
}

function plan(ctx: EndpointContext, request: AddRequest, held: Held): Wiring {
  const mtu = ctx.podMtu()
  const device = deviceName(held.key)
  return {
    key: held.key,
    device,
    hostMac: hostMac(held.key),
    ifName: request.ifName,
    podMac: request.mac?.toLowerCase() ?? podMac(held.key),
    netnsPath: request.netns,
    leases: held.leases,
    sizes: podSizes(ctx, device, mtu),
    routeMtu: mtu.route,
    blocks: ctx.blocks(),
  }
}

function makeHostSide(ctx: EndpointContext, wiring: Wiring): LinkInfo {
  const { net } = ctx.kernel
  try {
    net.run([pairRequest(wiring)])
    const link = net.link(wiring.device)
    if (!link) throw new Error(`link ${wiring.device} vanished`)
    net.run(hostRequests(wiring, link.index))
    loosenReversePath(ctx.kernel, wiring.device)
    return link
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && interfaceExists(ctx, wiring)) {
      const problem = `CNI_IFNAME ${wiring.ifName} exists already in ${wiring.netnsPath}`
      throw new AttachmentError('INTERFACE_EXISTS', problem, { cause: error })
    }
    throw kernelError(`make the device pair of ${wiring.key}`, error)
  }
}

function interfaceExists(ctx: EndpointContext, wiring: Wiring): boolean {
  using pod = ctx.kernel.openNet(wiring.netnsPath)
  return pod.link(wiring.ifName) !== undefined
}

function makePodSide(ctx: EndpointContext, wiring: Wiring, index: number): void {
  try {
    if (wiring.leases.some(leased => leased.family === 6)) enableIpv6(ctx.kernel, wiring.netnsPath, wiring.ifName)
    using pod = ctx.kernel.openNet(wiring.netnsPath)
    pod.run(podRequests(wiring, index))
  } catch (error) {
    throw kernelError(`set up ${wiring.ifName} in ${wiring.netnsPath}`, error)
  }
}

async function settle(ctx: EndpointContext, key: string, revision: number, signal: AbortSignal): Promise<void> {
  try {
    await ctx.settled(key, revision, signal)
  } catch (error) {
    if (signal.aborted) throw endOfWait(`the datapath to take ${key}`, signal.reason)
    throw new AttachmentError('NOT_SETTLED', `the datapath did not take ${key}`, { cause: error })
  }
}

/** The pod's namespace may have gone while the datapath and the disk were waited for. */
function requireDevice(ctx: EndpointContext, { key, device, netns }: Attachment): void {
  if (ctx.kernel.net.link(device.index)) return
  throw new AttachmentError('BAD_NETNS', `the namespace ${netns.path} of ${key} went during its ADD`)
}

function attachmentOf(
  ctx: EndpointContext,
  request: AddRequest,
  netns: NetnsId,
  wiring: Wiring,
  link: LinkInfo,
): Attachment {
  return {
    key: wiring.key,
    id: ++ctx.ids.last,
    pod: request.pod,
    leases: wiring.leases,
    device: { name: wiring.device, index: link.index, mac: wiring.hostMac },
    interface: { name: request.ifName, mac: wiring.podMac, mtu: wiring.sizes.mtu ?? link.mtu },
    routeMtu: wiring.routeMtu,
    netns: { ...netns, path: request.netns },
    time: ctx.now(),
    ...(request.portMappings?.length ? { portMappings: request.portMappings } : {}),
  }
}
