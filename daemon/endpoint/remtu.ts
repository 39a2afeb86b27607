/** Living pods follow a changed MTU plan: the device, the pod's interface, and the pod's default routes. */
import { abortable } from '../abort.ts'
import type { LinkSizes, NetRequest } from '../kernel/kernel.ts'
import { type Attachment, GATEWAY, rowOf } from './attachment.ts'
import type { EndpointContext, PodMtu } from './context.ts'

/** The sizes of a pod's device by the plan and the plugins that shape links. */
export function podSizes(ctx: Pick<EndpointContext, 'shapers'>, name: string, mtu: PodMtu): LinkSizes {
  return ctx.shapers.reduce<LinkSizes>((s, shaper) => shaper.shape({ name, role: 'pod' }, s), { mtu: mtu.device })
}

/** Brings every living pod to the plan of now. One that fails is logged and tried again by the next call. */
export async function followMtu(ctx: EndpointContext, signal: AbortSignal): Promise<void> {
  const plan = ctx.podMtu()
  if (plan.provisional) return
  const behind = [...ctx.held.values()].filter(({ attachment }) => {
    // A namespace that has lost its name cannot be entered any more.
    return attachment && !follows(ctx, attachment, plan) && ctx.kernel.netnsId(attachment.netns.path) !== undefined
  })
  await Promise.all(behind.map(held => followOne(ctx, held.key, signal)))
}

function follows(ctx: EndpointContext, attachment: Attachment, plan: PodMtu): boolean {
  const { mtu } = podSizes(ctx, attachment.device.name, plan)
  return attachment.interface.mtu === mtu && attachment.routeMtu === plan.route
}

async function followOne(ctx: EndpointContext, key: string, signal: AbortSignal): Promise<void> {
  try {
    await ctx.locks.run(key, signal, async () => {
      const held = ctx.held.get(key)
      const plan = ctx.podMtu()
      if (!held?.attachment || follows(ctx, held.attachment, plan)) return
      const changed = resize(ctx, held.attachment, plan)
      held.attachment = changed
      ctx.tables.endpoints.put(rowOf(changed))
      await abortable(ctx.journal.add(changed), signal)
    })
  } catch (error) {
    ctx.log.warn({ key, error }, 'a pod does not follow the MTU yet; it will be tried again')
  }
}

function resize(ctx: EndpointContext, attachment: Attachment, plan: PodMtu): Attachment {
  const sizes = podSizes(ctx, attachment.device.name, plan)
  using pod = ctx.kernel.openNet(attachment.netns.path)
  ctx.kernel.net.run([{ op: 'link-set', link: attachment.device.index, ...sizes }])
  pod.run([{ op: 'link-set', link: attachment.interface.name, ...sizes }])
  const index = pod.link(attachment.interface.name)?.index
  const gateways: readonly string[] = Object.values(GATEWAY)
  // Only routes that lead to the gateway: what the pod made of its other routes is its own.
  const routes = pod.routes().filter(r => r.link === index && r.via !== undefined && gateways.includes(r.via))
  pod.run(routes.map((route): NetRequest => ({ op: 'route-add', route: { ...route, mtu: plan.route }, replace: true })))
  const mtu = sizes.mtu ?? plan.device
  return { ...attachment, interface: { ...attachment.interface, mtu }, routeMtu: plan.route, replanned: true }
}
