export default {
  files: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts', 'internal/*/test/**/*.test.ts'],
  extensions: { ts: 'module' },
  nodeArguments: ['--import=tsx', '--conditions=@koa-session/source'],
  // Child processes: worker threads take no --conditions.
  workerThreads: false,
  timeout: '5m',
}
