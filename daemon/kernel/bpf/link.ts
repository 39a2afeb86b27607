/**
 * Links: a program attached to a hook, for as long as a descriptor or a pin holds it. `BPF_LINK_CREATE` is used directly,
 * because the libbpf of Debian 12 knows neither tcx nor netkit.
 *
 * Attaching to tcx and letting go of it wait for a grace period of the kernel (8–28 ms): use the asynchronous forms on
 * the event loop.
 */
import { close, closeSync } from 'node:fs'
import { promisify } from 'node:util'
import { errnoValue, systemError } from '../sys.ts'
import { attachType, type AttachType, linkType, type LinkType, nameOf } from './codes.ts'
import { getPin, pin } from './pin.ts'
import { bpf, bpfAsync, fdById, objectInfo } from './syscall.ts'

/** Where in the chain of programs of a hook; the default is last. `fd` is of another link or program there. */
export type Anchor =
  | { readonly place: 'first' | 'last' }
  | { readonly place: 'before' | 'after'; readonly linkFd: number }
  | { readonly place: 'before' | 'after'; readonly programFd: number }

/** The cgroup hooks of programs that rewrite socket addresses, and those around sockets' lives. */
export type CgroupHook = Exclude<
  AttachType,
  'tcx-ingress' | 'tcx-egress' | 'netkit-primary' | 'netkit-peer' | 'xdp' | 'sk-lookup' | 'sk-msg-verdict'
>

export type Hook =
  | { readonly kind: 'tcx'; readonly ifindex: number; readonly side: 'ingress' | 'egress'; readonly anchor?: Anchor }
  | { readonly kind: 'netkit'; readonly ifindex: number; readonly side: 'primary' | 'peer'; readonly anchor?: Anchor }
  /** `driver` insists on the driver's own hook, `generic` on the one behind it; absent: the driver's where it has one. */
  | { readonly kind: 'xdp'; readonly ifindex: number; readonly mode?: 'driver' | 'generic' }
  | { readonly kind: 'cgroup'; readonly cgroupFd: number; readonly hook: CgroupHook }

export interface LinkInfo {
  readonly id: number
  readonly type: LinkType | 'other'
  readonly programId: number
  /** Device of a tcx, netkit or XDP link; 0 once the device has gone. */
  readonly ifindex: number
  readonly attachType: AttachType | undefined
}

/**
 * A link this process holds. Disposing lets go of it: without a pin the program is detached. Errors are BpfError, and
 * SystemError EBADF after disposal.
 */
export class Link implements Disposable, AsyncDisposable {
  readonly #fd: number
  readonly #name: string
  #open = true

  /** Takes the descriptor over; `name` appears in errors. */
  constructor(fd: number, name: string) {
    this.#fd = fd
    this.#name = name
  }

  get fd(): number {
    if (this.#open) return this.#fd
    throw systemError(`use ${this.#name}`, errnoValue('EBADF'), 'the link was closed')
  }

  /** Replaces the program in one step: every packet sees the old or the new one. `expectedFd` guards against others. */
  update(programFd: number, expectedFd?: number): void {
    bpf('LINK_UPDATE', this.#name, 16, attr => {
      attr.setUint32(0, this.fd, true)
      attr.setUint32(4, programFd, true)
      if (expectedFd === undefined) return
      attr.setUint32(8, F_REPLACE, true)
      attr.setUint32(12, expectedFd, true)
    })
  }

  /** Takes the program off the hook at once, whatever else holds the link. */
  detach(): void {
    bpf('LINK_DETACH', this.#name, 4, attr => attr.setUint32(0, this.fd, true))
  }
  async detachAsync(): Promise<void> {
    await bpfAsync('LINK_DETACH', this.#name, 4, attr => attr.setUint32(0, this.fd, true))
  }

  info(): LinkInfo {
    return objectInfo(this.#name, this.fd, 32, readLinkInfo)
  }

  pin(path: string, options: { readonly replace?: boolean } = {}): void {
    pin(this.fd, path, options)
  }

  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    closeSync(this.#fd)
  }
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await promisify(close)(this.#fd)
  }
}

/** Attaches a program in the network namespace the calling thread stands in. Throws BpfError. */
export function attach(programFd: number, hook: Hook): Link {
  const name = hookName(hook)
  return new Link(
    bpf('LINK_CREATE', name, ATTR_SIZE, attr => fillLinkCreate(attr, programFd, hook)),
    name,
  )
}

/** The same on a thread of libuv's pool, in the namespace these threads were born in: that of the daemon. */
export async function attachAsync(programFd: number, hook: Hook): Promise<Link> {
  const name = hookName(hook)
  return new Link(await bpfAsync('LINK_CREATE', name, ATTR_SIZE, attr => fillLinkCreate(attr, programFd, hook)), name)
}

/** The link pinned at a path; undefined when nothing is there. */
export function linkFromPin(path: string): Link | undefined {
  const fd = getPin(path)
  return fd === undefined ? undefined : new Link(fd, `link ${path}`)
}

/** The link with an id; undefined when there is none. */
export function linkFromId(id: number): Link | undefined {
  const fd = fdById('LINK_GET_FD_BY_ID', id)
  return fd === undefined ? undefined : new Link(fd, `link ${id}`)
}

const ATTR_SIZE = 32
const F_REPLACE = 1 << 2
const F_BEFORE = 1 << 3
const F_AFTER = 1 << 4
const F_LINK = 1 << 13
const XDP_FLAGS_SKB_MODE = 1 << 1
const XDP_FLAGS_DRV_MODE = 1 << 2

/** link_create: program, target, attach type, flags, then what the hook adds (descriptor of the anchor). */
function fillLinkCreate(attr: DataView, programFd: number, hook: Hook): void {
  attr.setUint32(0, programFd, true)
  attr.setUint32(4, hook.kind === 'cgroup' ? hook.cgroupFd : hook.ifindex, true)
  attr.setUint32(8, attachType[attachTypeOf(hook)], true)
  attr.setUint32(12, flagsOf(hook), true)
  if ((hook.kind === 'tcx' || hook.kind === 'netkit') && hook.anchor) attr.setUint32(16, anchorFd(hook.anchor), true)
}

/** The attach type of a hook: also what a program for it is loaded with where the kernel asks for it. */
export function attachTypeOf(hook: Hook): AttachType {
  switch (hook.kind) {
    case 'tcx':
      return `tcx-${hook.side}`
    case 'netkit':
      return `netkit-${hook.side}`
    case 'xdp':
      return 'xdp'
    case 'cgroup':
      return hook.hook
  }
}

function flagsOf(hook: Hook): number {
  switch (hook.kind) {
    case 'tcx':
    case 'netkit':
      return hook.anchor ? anchorFlags(hook.anchor) : 0
    case 'xdp':
      return hook.mode === undefined ? 0 : hook.mode === 'driver' ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE
    case 'cgroup':
      return 0
  }
}

/** Without a descriptor, before and after mean the ends of the chain. */
function anchorFlags(anchor: Anchor): number {
  const direction = anchor.place === 'first' || anchor.place === 'before' ? F_BEFORE : F_AFTER
  return 'linkFd' in anchor ? direction | F_LINK : direction
}
function anchorFd(anchor: Anchor): number {
  return 'linkFd' in anchor ? anchor.linkFd : 'programFd' in anchor ? anchor.programFd : 0
}

function hookName(hook: Hook): string {
  return hook.kind === 'cgroup' ? `cgroup hook ${hook.hook}` : `${attachTypeOf(hook)} of device ${hook.ifindex}`
}

/** struct bpf_link_info: type, id, program, then by type; a cgroup link has the cgroup's id before the attach type. */
function readLinkInfo(info: DataView): LinkInfo {
  const type = nameOf(linkType, info.getUint32(0, true)) ?? 'other'
  const onDevice = type === 'tcx' || type === 'netkit' || type === 'xdp'
  return {
    type,
    id: info.getUint32(4, true),
    programId: info.getUint32(8, true),
    ifindex: onDevice ? info.getUint32(16, true) : 0,
    attachType: type === 'xdp' ? 'xdp' : attachTypeAt(info, type),
  }
}
function attachTypeAt(info: DataView, type: LinkType | 'other'): AttachType | undefined {
  if (type === 'other') return undefined
  return nameOf(attachType, info.getUint32(type === 'cgroup' ? 24 : 20, true))
}
