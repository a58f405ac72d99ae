import type { Middleware } from 'koa'

/** `ctx.request.body` from JSON, as body parsers set it. */
export const body: Middleware = async (ctx, next) => {
  let text = ''
  for await (const chunk of ctx.req) text += chunk
  Object.assign(ctx.request, { body: text ? JSON.parse(text) : {} })
  return next()
}
