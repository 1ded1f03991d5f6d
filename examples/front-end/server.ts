import WebSocket from 'ws'

// #region server
const address = process.env.CARNET_URL ?? 'http://127.0.0.1:8000'

export const url = `${address}/graphql`
export const socketUrl = url.replace(/^http/, 'ws')
export const blobsUrl = `${address}/blobs`

/** The session's token, in memory only. */
export const session: { token?: string } = {}

export const authorization = (): Record<string, string> =>
  session.token ? { Authorization: `Bearer ${session.token}` } : {}
// #endregion

/** Whether to send the names of documents that the server trusts instead of their texts. */
export const trusted = process.env.CARNET_TRUSTED === '1'

/** Who signs in: a persona of the sandbox. */
export const credentials = { login: 'camille@sandbox.carnet', password: 'bienvenue dans carnet' }

// Browsers have it, and Node since 22.
globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket
