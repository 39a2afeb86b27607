/** What the provider takes of Azure's SDKs. The build makes one file of it, which is loaded when a provider makes its first call. */
export { ComputeManagementClient } from '@azure/arm-compute'
export { NetworkManagementClient } from '@azure/arm-network'
export { EnvironmentCredential, ManagedIdentityCredential, WorkloadIdentityCredential } from '@azure/identity'
