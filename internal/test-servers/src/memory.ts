/**
 * MiB that a database keeps its tables in: as few as tests need, or as many as `TEST_SERVERS_MEMORY` says. With less memory than the
 * tables have, a server is measured by the disk.
 */
export const databaseMemory = (few: number): number => Number(process.env.TEST_SERVERS_MEMORY ?? few)
