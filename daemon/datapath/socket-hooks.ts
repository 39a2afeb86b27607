/**
 * The socket programs on the cgroup that holds all pods and processes of the node. Links are pinned by program and cgroup,
 * so that the next daemon replaces the programs instead of adding others, and services go on working without one.
 */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { attach, type CgroupHook, type Link, linkFromPin } from '../kernel/bpf/link.ts'
import { listPins, unpin } from '../kernel/bpf/pin.ts'
import { NotSupported } from '../kernel/errors.ts'

const HOOKS = {
  sock_connect4: 'connect4',
  sock_connect6: 'connect6',
  sock_sendmsg4: 'sendmsg4',
  sock_sendmsg6: 'sendmsg6',
  sock_recvmsg4: 'recvmsg4',
  sock_recvmsg6: 'recvmsg6',
  sock_getpeername4: 'getpeername4',
  sock_getpeername6: 'getpeername6',
  sock_bind4: 'bind4',
  sock_bind6: 'bind6',
} as const satisfies Readonly<Record<string, CgroupHook>>
export type SocketProgram = keyof typeof HOOKS
const PROGRAMS = Object.keys(HOOKS) as SocketProgram[] // its keys and no others

export class SocketHooks {
  readonly #directory: string

  /** `directory` holds the pins, on a bpffs. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * Attaches all programs to a cgroup, in the place of those that are there, and takes them off every other; undefined
   * takes them off. Throws NotSupported when it is no cgroup that takes them.
   */
  apply(cgroup: string | undefined, programFd: (name: SocketProgram) => number): void {
    const wanted = cgroup === undefined ? new Set<string>() : this.#attachTo(cgroup, programFd)
    for (const { name, path } of listPins(this.#directory)) if (!wanted.has(name)) unpin(path)
  }

  #attachTo(cgroup: string, programFd: (name: SocketProgram) => number): Set<string> {
    using resources = new DisposableStack()
    try {
      const cgroupFd = openSync(cgroup, 'r')
      resources.defer(() => closeSync(cgroupFd))
      const { ino } = fstatSync(cgroupFd)
      const names = PROGRAMS.map(program => {
        const name = `${program}_${ino}`
        this.#place(join(this.#directory, name), cgroupFd, HOOKS[program], programFd(program))
        return name
      })
      return new Set(names)
    } catch (cause) {
      const way = 'a cgroup of version 2 as paths.cgroup, or services.socket: false'
      throw new NotSupported(`translating services for sockets in ${cgroup}`, way, { cause })
    }
  }

  #place(path: string, cgroupFd: number, hook: CgroupHook, programFd: number): void {
    using present = linkFromPin(path)
    if (present !== undefined) return present.update(programFd)
    using link: Link = attach(programFd, { kind: 'cgroup', cgroupFd, hook })
    link.pin(path)
  }
}
