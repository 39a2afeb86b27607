/** Tags of the interfaces that this project makes: whose they are, and which request made them. */
export const TAGS = {
  cluster: 'causeway.dev/cluster',
  node: 'causeway.dev/node',
  token: 'causeway.dev/token',
} as const
