import { connect } from 'node:net'
import { host } from './ports.js'

/** Sends `hello` (if any) and gives what came back first; `undefined` when nothing did. */
function firstReply(port: number, hello?: Buffer | string): Promise<Buffer | undefined> {
  return new Promise(resolve => {
    const socket = connect({ port, host })
    const settle = (reply?: Buffer) => {
      socket.destroy()
      resolve(reply)
    }
    socket.setTimeout(2_000, () => settle())
    socket.once('connect', () => hello && socket.write(hello))
    socket.once('data', settle)
    socket.once('error', () => settle())
    socket.once('close', () => settle())
  })
}

/** A server that still loads its data answers `-LOADING`. */
export async function pingRedis(port: number): Promise<boolean> {
  return (await firstReply(port, 'PING\r\n'))?.toString('latin1').startsWith('+PONG') ?? false
}

/** A start-up message: the answer is a request to authenticate, or an error while the server still recovers. */
export async function pingPostgres(port: number): Promise<boolean> {
  const body = Buffer.from('\0\x03\0\0user\0postgres\0database\0postgres\0\0', 'latin1')
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return (await firstReply(port, Buffer.concat([length, body])))?.toString('latin1', 0, 1) === 'R'
}

/** The server speaks first: packet header, then protocol version 10, or 255 for an error. */
export async function pingMysql(port: number): Promise<boolean> {
  return (await firstReply(port))?.[4] === 10
}

export const mongoUrl = (port: number) => `mongodb://${host}:${port}/test?directConnection=true`

/** `OP_MSG` with `{ [command]: 1, $db: 'admin' }`; the reply is an `OP_MSG` with `[flag]: true`. */
async function askMongo(port: number, command: string, flag: string): Promise<boolean> {
  const text = `\x10${command}\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0`
  const document = Buffer.alloc(4 + text.length)
  document.writeInt32LE(document.length)
  document.write(text, 4, 'latin1')
  const head = Buffer.alloc(21)
  head.writeInt32LE(head.length + document.length, 0)
  head.writeInt32LE(1, 4)
  head.writeInt32LE(2013, 12)
  const reply = await firstReply(port, Buffer.concat([head, document]))
  const found = reply?.indexOf(`${flag}\0`, 0, 'latin1') ?? -1
  return found >= 0 && reply?.[found + flag.length + 1] === 1
}

export const pingMongo = (port: number) => askMongo(port, 'hello', 'isWritablePrimary')

/** A server that does not know `hello` yet. */
export const pingOldMongo = (port: number) => askMongo(port, 'isMaster', 'ismaster')
