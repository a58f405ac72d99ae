import { randomInt } from 'node:crypto'
import { connect, createServer } from 'node:net'

export const host = '127.0.0.1'

/** The ports of real servers, which the tests never use. */
export const standardPorts: readonly number[] = [3306, 5432, 6379, 6432, 16379, 26379, 27017, 27018, 27019, 33060]

/** Below the ephemeral range (32768 and up): a client's own port must not land on a server that is down for a moment. */
const lowest = 10_000
const beyond = 31_000

export function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

export function isOpen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ port, host })
    const settle = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}

/** A port that is free, and whose neighbours at these `distances` are free as well. */
export async function freePort(distances: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(lowest, beyond - Math.max(0, ...distances))
    const all = withNeighbours(port, distances)
    if (!all.some(each => standardPorts.includes(each)) && (await every(all, isFree))) return port
  }
  throw new Error('no free port between 10000 and 31000 on 127.0.0.1')
}

export const withNeighbours = (port: number, distances: readonly number[] = []): number[] => [
  port,
  ...distances.map(distance => port + distance),
]

async function every(ports: readonly number[], test: (port: number) => Promise<boolean>): Promise<boolean> {
  return (await Promise.all(ports.map(test))).every(Boolean)
}
