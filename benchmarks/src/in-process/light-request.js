import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'

/** A connection without a network: it takes every response and forgets it. */
class DummySocket extends Duplex {
  write(_chunk, encoding, callback) {
    const done = typeof encoding === 'function' ? encoding : callback
    if (done) process.nextTick(done)
    return true
  }
  cork() {}
  uncork() {}
  _read() {}
}

/** A client that sends one request after the other on its connection, with one cookie. */
export class LightClient {
  #handle
  #socket = new DummySocket()
  #cookie

  constructor(handle, cookie) {
    this.#handle = handle
    this.#cookie = cookie
  }

  /** The response, when all of it was written. */
  request(path) {
    return new Promise((resolve, reject) => {
      const req = new IncomingMessage(this.#socket)
      req.method = 'GET'
      req.url = path
      req.httpVersion = '1.1'
      req.httpVersionMajor = 1
      req.httpVersionMinor = 1
      req.headers =
        this.#cookie === undefined
          ? { host: '127.0.0.1:3000', connection: 'keep-alive' }
          : { host: '127.0.0.1:3000', connection: 'keep-alive', cookie: this.#cookie }
      const res = new ServerResponse(req)
      res.assignSocket(this.#socket)
      res.on('finish', () => {
        res.detachSocket(this.#socket)
        resolve(res)
      })
      this.#handle(req, res).catch(reject)
    })
  }

  /** Sign in, and keep the cookies. */
  async signIn(path) {
    const res = await this.request(path)
    const cookies = [res.getHeader('set-cookie') ?? []].flat().map(header => header.split(';', 1)[0])
    if (cookies.length > 0) this.#cookie = cookies.join('; ')
  }
}
