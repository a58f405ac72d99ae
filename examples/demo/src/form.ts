import type { Context } from 'koa'

const maxLength = 10_000

/** The fields of a posted form. */
export async function readForm(ctx: Context): Promise<URLSearchParams> {
  if (!ctx.is('application/x-www-form-urlencoded')) ctx.throw(415)
  let text = ''
  ctx.req.setEncoding('utf8')
  for await (const chunk of ctx.req) {
    text += chunk
    if (text.length > maxLength) ctx.throw(413)
  }
  return new URLSearchParams(text)
}
