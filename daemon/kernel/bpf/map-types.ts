/** The types of a map's keys and values as the kernel knows them, whoever made the map. */
import { closeSync } from 'node:fs'
import { Memory } from '../sys.ts'
import { type Btf, parseBtf } from './btf.ts'
import { bpf, fdById, objectInfo } from './syscall.ts'

export interface MapTypes {
  readonly btf: Btf
  /** Ids of types in `btf`. */
  readonly key: number
  readonly value: number
}

/** Undefined for a map that was made without BTF. Throws BpfError. */
export function mapTypes(fd: number): MapTypes | undefined {
  // struct bpf_map_info up to btf_value_type_id
  const { id, key, value } = objectInfo(`map at descriptor ${fd}`, fd, 76, info => ({
    id: info.getUint32(64, true),
    key: info.getUint32(68, true),
    value: info.getUint32(72, true),
  }))
  const btf = id === 0 ? undefined : fdById('BTF_GET_FD_BY_ID', id)
  if (btf === undefined) return undefined
  try {
    return { btf: parseBtf(rawBtf(btf)), key, value }
  } finally {
    closeSync(btf)
  }
}

/** struct bpf_btf_info: where to write, how much fits and, afterwards, how much there is. */
const BTF_INFO_SIZE = 16

function rawBtf(fd: number): Uint8Array {
  const object = `BTF at descriptor ${fd}`
  const size = objectInfo(object, fd, BTF_INFO_SIZE, info => info.getUint32(8, true))
  using data = new Memory(size)
  using info = new Memory(BTF_INFO_SIZE)
  info.view.setBigUint64(0, data.address, true)
  info.view.setUint32(8, size, true)
  bpf('OBJ_GET_INFO_BY_FD', object, 16, attr => {
    attr.setUint32(0, fd, true)
    attr.setUint32(4, BTF_INFO_SIZE, true)
    attr.setBigUint64(8, info.address, true)
  })
  return new Uint8Array(data.view.buffer, data.view.byteOffset, size).slice()
}
