/** Loaded programs: what the kernel knows of them; bare instructions, with which features are probed. */
import { closeSync } from 'node:fs'
import type { Feature } from '../kernel.ts'
import { Memory } from '../sys.ts'
import { attachType, type AttachType, nameOf, programType, type ProgramType } from './codes.ts'
import { createMap, type MapSpec } from './map-info.ts'
import { bpf, BpfError, fdById, objectInfo, readName, writeName } from './syscall.ts'

export interface ProgramInfo {
  readonly id: number
  readonly type: ProgramType | 'other'
  readonly name: string
  /** Hash of the instructions, 16 hex digits: the same program has the same tag. */
  readonly tag: string
  /** Instructions the verifier walked through. */
  readonly verifiedInstructions: number
  /** Bytes of machine code; 0 where the compiler is off or the caller may not know. */
  readonly jitedSize: number
  readonly xlatedSize: number
  readonly runs: bigint
  readonly runTimeNs: bigint
}

/** struct bpf_prog_info. Throws BpfError. */
export function programInfo(fd: number): ProgramInfo {
  return objectInfo(`program at descriptor ${fd}`, fd, 232, info => ({
    type: nameOf(programType, info.getUint32(0, true)) ?? 'other',
    id: info.getUint32(4, true),
    tag: Buffer.from(info.buffer, info.byteOffset + 8, 8).toString('hex'),
    jitedSize: info.getUint32(16, true),
    xlatedSize: info.getUint32(20, true),
    name: readName(info, 64),
    runTimeNs: info.getBigUint64(192, true),
    runs: info.getBigUint64(200, true),
    verifiedInstructions: info.getUint32(216, true),
  }))
}

/** A descriptor for the program with an id, which the caller closes; undefined when there is none. */
export function programFdById(id: number): number | undefined {
  return fdById('PROG_GET_FD_BY_ID', id)
}

/** eBPF instructions `r0 = value; exit`, enough of a program for most types (Documentation/bpf/instruction-set). */
export function returning(value: number): BigUint64Array {
  return new BigUint64Array([(BigInt(value >>> 0) << 32n) | 0xb7n, 0x95n])
}

/** Loads bare instructions under a licence that allows every helper; the caller owns the descriptor. */
export function loadInstructions(
  type: ProgramType,
  attach: AttachType | undefined,
  instructions: BigUint64Array = returning(0),
  name = 'probe',
): number {
  using code = new Memory(instructions.byteLength)
  code.bytes.set(new Uint8Array(instructions.buffer, instructions.byteOffset, instructions.byteLength))
  using licence = new Memory(4)
  licence.bytes.set(new TextEncoder().encode('GPL'))
  return bpf('PROG_LOAD', `${type} program ${name}`, 72, attr => {
    attr.setUint32(0, programType[type], true)
    attr.setUint32(4, instructions.length, true)
    attr.setBigUint64(8, code.address, true)
    attr.setBigUint64(16, licence.address, true)
    writeName(attr, 48, name)
    attr.setUint32(68, attach === undefined ? 0 : attachType[attach], true)
  })
}

/** Whether the kernel takes programs of a type, by choice with these instructions (such as a call of a helper). */
export function probeProgram(
  type: ProgramType,
  attach?: AttachType,
  instructions: BigUint64Array = returning(0),
): Feature {
  return probe(`${type} programs`, ['EINVAL', 'EACCES', 'EPERM', 'ENOTSUPP', 'EOPNOTSUPP'], () => {
    closeSync(loadInstructions(type, attach, instructions))
  })
}

/**
 * Whether the kernel has tcx or netkit hooks: asked with a device that cannot exist, so that nothing is attached. A
 * kernel with the hook looks for the device (ENODEV), one without refuses the request (EINVAL).
 */
export function probeDeviceHook(
  attach: Extract<AttachType, 'tcx-ingress' | 'tcx-egress' | 'netkit-primary' | 'netkit-peer'>,
): Feature {
  return probe(`links to ${attach}`, ['EINVAL'], () => {
    const fd = loadInstructions('sched-cls', undefined)
    try {
      bpf('LINK_CREATE', attach, 32, attr => {
        attr.setUint32(0, fd, true)
        attr.setUint32(4, 0x7fff_fffe, true)
        attr.setUint32(8, attachType[attach], true)
      })
    } catch (error) {
      if (!(error instanceof BpfError && error.code === 'ENODEV')) throw error
    } finally {
      closeSync(fd)
    }
  })
}

/** Whether the kernel makes maps of a type. */
export function probeMap(spec: MapSpec): Feature {
  return probe(`${spec.type} maps`, ['EINVAL', 'EPERM', 'ENOTSUPP', 'EOPNOTSUPP'], () => closeSync(createMap(spec)))
}

function probe(what: string, absent: readonly string[], attempt: () => void): Feature {
  try {
    attempt()
    return { state: 'present' }
  } catch (error) {
    if (!(error instanceof BpfError)) throw error
    if (absent.includes(error.code)) return { state: 'absent', reason: `${what}: the kernel answers ${error.code}` }
    return { state: 'unknown', error: error.message }
  }
}
