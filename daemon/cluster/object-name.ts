/** Names of nodes and pods: DNS subdomains (Kubernetes, "Object Names and IDs"; RFC 1123). */
export const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
