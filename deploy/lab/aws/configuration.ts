/** What daemons and operators of a lab on AWS are configured to. */
import { POD_SUBNETS } from './vpc.ts'

export const EC2_PORT = 4599

/** Sections that daemons and operators read alike. Machines of the lab have few addresses, and give them back soon. */
export function awsSections(): Record<string, unknown> {
  return {
    families: ['ipv4'],
    'aws-eni': {
      endpoint: `http://127.0.0.1:${EC2_PORT}`,
      subnets: { tags: POD_SUBNETS },
      prefixes: false,
      preAllocate: 1,
      maxAbove: 1,
      cooldownSeconds: 1,
      releaseDelaySeconds: 2,
    },
  }
}

/** Of the only account: the SDK looks for them here first, and nowhere else then. */
export const CREDENTIALS: readonly string[] = [
  'AWS_ACCESS_KEY_ID=LAB',
  'AWS_SECRET_ACCESS_KEY=lab',
  'AWS_EC2_METADATA_DISABLED=true',
  'AWS_CONFIG_FILE=/nonexistent',
  'AWS_SHARED_CREDENTIALS_FILE=/nonexistent',
]
