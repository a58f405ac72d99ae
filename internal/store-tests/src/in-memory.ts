export { inMemory } from '@koa-session/test-servers/in-memory'
