/** A setting from the environment is wrong. Its message is all that a user needs. */
export class SettingError extends Error {}

/** Runs a program. A wrong setting ends it with the message alone, without a stack. */
export async function withSettings(program: () => Promise<void>): Promise<void> {
  try {
    await program()
  } catch (error) {
    if (!(error instanceof SettingError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
