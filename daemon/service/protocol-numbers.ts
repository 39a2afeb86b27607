/** Protocols of services by their assigned Internet protocol numbers (IANA). */
export const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const
