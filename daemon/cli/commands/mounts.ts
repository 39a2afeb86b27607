/** `causeway mounts`: the file systems that the daemon needs and that containers cannot mount for their node. */
import type { CommandSpec } from '../command.ts'

export const mounts: CommandSpec = {
  name: 'mounts',
  summary: 'Mount bpffs and cgroup2 on the node of this container, where it lacks them.',
  about:
    "For an init container that is not privileged: it enters the mount namespace of the node's first process, for which it needs CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE.",
  options: {
    proc: { type: 'string', value: 'DIR', about: "Where the node's /proc is; /host/proc unless given." },
    bpffs: { type: 'string', value: 'PATH', about: 'Where on the node bpffs belongs; /sys/fs/bpf unless given.' },
    cgroup: { type: 'string', value: 'PATH', about: 'Where on the node cgroup2 belongs; /sys/fs/cgroup unless given.' },
  },
  async run({ options, programs, out }) {
    const wanted = [
      { type: 'bpf', at: options.text('bpffs') ?? '/sys/fs/bpf' },
      { type: 'cgroup2', at: options.text('cgroup') ?? '/sys/fs/cgroup' },
    ] as const
    const made = await programs.mountOnNode(options.text('proc') ?? '/host/proc', wanted)
    for (const { type, at } of made) out(`${type} was mounted at ${at}\n`)
    if (made.length === 0) out('the node has both already\n')
    return 0
  },
}
