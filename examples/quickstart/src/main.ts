import { openStore, serve } from '@koa-session/example-support'
import { createApp } from './app.js'

const { app, sessions } = createApp(await openStore())
await serve(app, sessions)
