/**
 * What a starting daemon makes of what it finds: the journal, the devices, the namespaces, and then each queued DEL. Pure;
 * the kernel is the truth about what exists, the journal about whom it belongs to.
 */
import { isPodDevice } from '../datapath/pod-device.ts'
import type { LinkInfo, NetnsId } from '../kernel/kernel.ts'
import type { Attachment } from './attachment.ts'
import type { QueuedDelete } from './delete-queue.ts'
import { REAP_GROUP } from './device-reaper.ts'
import { deviceName } from './key.ts'

export interface RestoreInput {
  readonly attachments: readonly Attachment[]
  readonly links: readonly LinkInfo[]
  /** Identity of the namespace at a path, undefined when there is none. */
  readonly netnsAt: (path: string) => NetnsId | undefined
}

export interface RestorePlan {
  readonly keep: readonly Attachment[]
  /** Their device is gone: the entry is dropped, the addresses are free. */
  readonly drop: readonly Attachment[]
  /** Something of them is left that must go before their addresses do. */
  readonly remove: readonly { readonly attachment: Attachment; readonly reason: string }[]
  /** Devices nobody answers for. */
  readonly strays: readonly LinkInfo[]
}

export function planRestore(input: RestoreInput): RestorePlan {
  const keep: Attachment[] = []
  const drop: Attachment[] = []
  const remove: { attachment: Attachment; reason: string }[] = []
  for (const attachment of input.attachments) {
    const link = deviceOf(attachment, input.links)
    const reason = link && reasonToRemove(attachment, link, input)
    if (!link) drop.push(attachment)
    else if (reason === undefined) keep.push(attachment)
    else remove.push({ attachment, reason })
  }
  const claimed = new Set([...keep, ...remove.map(r => r.attachment)].map(a => a.device.index))
  const strays = input.links.filter(link => isOurs(link) && !claimed.has(link.index))
  return { keep, drop, remove, strays }
}

/** Whether a device was made for a pod by this project: by its name, its kind, and its alias where it has one yet. */
export function isOurs(link: LinkInfo): boolean {
  const pair = link.kind === 'veth' || link.kind === 'netkit'
  return pair && isPodDevice(link.name) && (link.alias === '' || deviceName(link.alias) === link.name)
}

function deviceOf(attachment: Attachment, links: readonly LinkInfo[]): LinkInfo | undefined {
  const { index, name } = attachment.device
  return links.find(link => link.index === index && link.name === name)
}

/**
 * A namespace whose file is gone lives on as long as a process is in it, and the device says so: both ends of a pair go
 * together. Another namespace at the path means that the old one was given up.
 */
function reasonToRemove(attachment: Attachment, link: LinkInfo, input: RestoreInput): string | undefined {
  if (link.group === REAP_GROUP) return 'its deletion had begun'
  const { dev, ino, path } = attachment.netns
  const now = input.netnsAt(path)
  if (now && (now.dev !== dev || now.ino !== ino)) return `${path} is another namespace by now`
  return undefined
}

/** Why a queued DEL is void, undefined when it is to be carried out on what the key has now. */
export function voidBecause(entry: QueuedDelete, bootId: string, now: Attachment | undefined): string | undefined {
  if (entry.bootId !== bootId) return 'it is from before the last boot'
  if (!now) return undefined
  if (now.time > entry.time) return 'the pod was added again since'
  return entry.netnsInode !== 0 && entry.netnsInode !== now.netns.ino ? 'it names another namespace' : undefined
}
