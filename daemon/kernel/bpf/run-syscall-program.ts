/** Runs programs of type `syscall` (BPF_PROG_TEST_RUN): work on maps that the daemon starts and the kernel does. */
import { Memory } from '../sys.ts'
import { bpfAsync } from './syscall.ts'

const ATTR_SIZE = 80

/**
 * Runs the program once on a thread of libuv's pool, since a walk over a large map takes its time, and answers the
 * context as the program left it. Throws BpfError.
 */
export async function runSyscallProgram(programFd: number, context: Uint8Array): Promise<Uint8Array> {
  using memory = new Memory(context.length)
  memory.bytes.set(context)
  // The kernel refuses every other field and writes the context back to where it was read (bpf_prog_test_run_syscall).
  await bpfAsync('PROG_TEST_RUN', `program at descriptor ${programFd}`, ATTR_SIZE, attr => {
    attr.setUint32(0, programFd, true)
    attr.setUint32(40, memory.bytes.length, true)
    attr.setBigUint64(48, memory.address, true)
  })
  return memory.bytes.slice()
}
