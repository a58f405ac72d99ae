import { openStore, serve, withSettings } from '@koa-session/example-support'
import { createApp } from './app.js'

await withSettings(async () => {
  const { app, sessions } = createApp(await openStore())
  await serve(app, sessions)
})
