import { connect } from 'node:net'

/** Send bytes that no HTTP client would send, on a connection of their own. Resolves to all that comes back. */
export function raw(url: string, ...parts: (string | Uint8Array)[]): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let answer = ''
    socket.setEncoding('latin1').on('data', chunk => {
      answer += chunk
    })
    // A server that refuses a request may reset the connection while the rest of it still arrives.
    socket.on('error', error => (answer === '' ? reject(error) : resolve(answer)))
    socket.on('close', () => resolve(answer))
    socket.write(Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'utf8') : part))))
  })
}
