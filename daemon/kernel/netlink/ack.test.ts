import assert from 'node:assert/strict'
import test from 'node:test'
import { readAck } from './ack.ts'
import { BodyWriter, type Received } from './message.ts'

const ERROR = 2
const DONE = 3
const CAPPED = 0x100
const ACK_TLVS = 0x200

function message(type: number, flags: number, fill: (w: BodyWriter) => void): Received {
  const writer = new BodyWriter()
  fill(writer)
  return { type, flags, sequence: 1, body: writer.finish() }
}
/** The error number and the header of the request it answers, of so many bytes. */
const error = (w: BodyWriter, errno: number, requestBytes: number): BodyWriter =>
  w.u32(-errno).u32(requestBytes).u16(16).u16(5).u32(1).u32(0)

const cases: readonly { readonly name: string; readonly message: Received; readonly want: unknown }[] = [
  {
    name: 'an error number of zero is success',
    message: message(ERROR, CAPPED, w => error(w, 0, 40)),
    want: { errno: 0, kernelText: '' },
  },
  {
    name: 'the text stands after the header of the request',
    message: message(ERROR, CAPPED | ACK_TLVS, w => error(w, 22, 40).attributeText(1, 'mtu too small')),
    want: { errno: 22, kernelText: 'mtu too small' },
  },
  {
    name: 'the text stands after the whole request where the kernel echoes it',
    message: message(ERROR, ACK_TLVS, w => error(w, 22, 21).raw(new Uint8Array(8)).attributeText(1, 'no')),
    want: { errno: 22, kernelText: 'no' },
  },
  {
    name: 'a missing attribute is named',
    message: message(ERROR, CAPPED | ACK_TLVS, w => error(w, 22, 16).attributeU32(5, 3)),
    want: { errno: 22, kernelText: 'missing attribute 3' },
  },
  {
    name: 'the end of a dump carries its own outcome',
    message: message(DONE, ACK_TLVS, w => w.u32(-90).attributeText(1, 'too long')),
    want: { errno: 90, kernelText: 'too long' },
  },
  { name: 'any other message is no outcome', message: message(16, 0, w => w.u32(0)), want: undefined },
]
for (const { name, message, want } of cases) test(name, () => assert.deepEqual(readAck(message), want))
