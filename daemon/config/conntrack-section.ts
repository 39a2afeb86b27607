/** The section `datapath.conntrack` of the configuration. */
import { oneOf, section, whole } from './field.ts'

/** RFC 5382 REQ-5 (TCP), RFC 4787 REQ-5 (UDP) and RFC 5508 REQ-2 (ICMP) give the lower bounds the defaults keep. */
export const conntrack = section('Connection tracking in the datapath.', {
  maxEntries: whole(1024, 16_777_216, {
    byDefault: 262_144,
    about: 'Flows that can be tracked at once; the map grows up to this number.',
  }),
  initialEntries: whole(1024, 16_777_216, {
    byDefault: 65_536,
    about: 'Room for flows in a new map; it never shrinks while the node is up. More than `maxEntries` counts as that.',
  }),
  tcpEstablishedSeconds: whole(60, 864_000, {
    byDefault: 7440,
    about: 'An established TCP connection is forgotten after so long without a packet.',
  }),
  tcpOpeningSeconds: whole(1, 3600, {
    byDefault: 60,
    about: 'A TCP connection whose handshake is not complete is forgotten after so long.',
  }),
  tcpClosedSeconds: whole(1, 3600, {
    byDefault: 10,
    about: 'A TCP connection closed by both sides, or reset, is forgotten after so long.',
  }),
  udpSeconds: whole(1, 86_400, { byDefault: 120, about: 'A UDP flow is forgotten after so long without a packet.' }),
  icmpSeconds: whole(1, 86_400, { byDefault: 60, about: 'An ICMP echo flow is forgotten after so long.' }),
  whenFull: oneOf(['forward', 'drop'], {
    byDefault: 'forward',
    about: 'What happens to a new flow when the table is full: forwarded untracked, or dropped.',
  }),
})
