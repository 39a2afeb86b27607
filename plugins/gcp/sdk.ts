/** What the provider takes of Google's library. The build makes one file of it, which is loaded when a provider makes its first call. */
export { GoogleAuth } from 'google-auth-library'
